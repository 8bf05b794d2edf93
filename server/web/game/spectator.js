// Where somebody looks who only watches: freely, or after one of the players.

const SPEED = 700;

export class Spectator {
  /** @param {import('./camera.js').Camera} camera @param {import('./controls.js').Controls} controls */
  constructor(camera, controls) {
    this.camera = camera;
    this.controls = controls;
    /** The player who is followed; 0 is nobody. */
    this.followed = 0;
    this.chosen = false;
    // Where the picture is dragged.
    this.heldX = 0;
    this.heldY = 0;
    this.held = false;
  }

  /** @param {number} player */
  follow(player) {
    this.followed = player;
    this.chosen = true;
  }

  /** The next one of those who play. @param {import('./scene.js').Scene} scene */
  next({ players }) {
    let after = 0;
    for (let at = 0; at < players.count; at += 1) if (players.items[at].player === this.followed) after = at + 1;
    this.follow(players.count === 0 ? 0 : players.items[after % players.count].player);
  }

  /** @param {import('./scene.js').Scene} scene @param {number} seconds */
  look(scene, seconds) {
    const { camera, controls } = this;
    if (controls.tapped && controls.keys.has('Space')) this.next(scene);
    controls.tapped = false;
    if (!this.chosen && scene.players.count > 0) this.next(scene);
    this.drag();
    const [moveX, moveY] = [controls.moveX, controls.moveY];
    if (moveX !== 0 || moveY !== 0) {
      this.followed = 0;
      camera.x = Math.min(Math.max(camera.x + moveX * SPEED * seconds, 0), camera.mapWidth);
      camera.y = Math.min(Math.max(camera.y + moveY * SPEED * seconds, 0), camera.mapHeight);
    }
    const body = scene.find(this.followed);
    if (body !== null) camera.follow(body.x, body.y, 0, 0, seconds);
  }

  /** The mouse takes the floor along. */
  drag() {
    const { camera, controls } = this;
    if (controls.mouseFires && this.held) {
      const [overX, overY] = [controls.mouseX - this.heldX, controls.mouseY - this.heldY];
      if (overX !== 0 || overY !== 0) this.followed = 0;
      camera.x = Math.min(Math.max(camera.x - overX / camera.scale, 0), camera.mapWidth);
      camera.y = Math.min(Math.max(camera.y - overY / camera.scale, 0), camera.mapHeight);
    }
    this.held = controls.mouseFires;
    this.heldX = controls.mouseX;
    this.heldY = controls.mouseY;
  }
}
