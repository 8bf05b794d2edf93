// A Colyseus server with one room, `arena`: as many players as the load asks for, all of whom move at every tick.
// node server.mjs PORT TICKS_PER_SECOND; with 0 ticks per second the room is silent.
import { Room, Server } from '@colyseus/core';
import { WebSocketTransport } from '@colyseus/ws-transport';
import { schema, t } from '@colyseus/schema';

const [port, tickRate] = process.argv.slice(2).map(Number);

/** Units per second. */
const SPEED = 6;
/** Side of the field, which has no edges. */
const SIZE = 200;
/** Directions a player may walk in, none along an axis, so that both numbers change. */
const DIRECTIONS = Array.from({ length: 8 }, (_, number) => ((number + 0.5) * Math.PI) / 4);
/** One in so many shots hits. */
const HIT_ONE_IN = 50;

const Player = schema(
  { x: t.float32(), y: t.float32(), aim: t.float32(), hp: t.uint8(), score: t.uint16() },
  'Player',
);
const Arena = schema({ players: t.map(Player) }, 'Arena');

const within = (value) => (value + SIZE) % SIZE;

class ArenaRoom extends Room {
  onCreate({ players }) {
    this.maxClients = players;
    this.state = new Arena();
    this.inputs = new Map();
    this.onMessage('input', (client, input) => this.inputs.set(client.sessionId, input));
    if (tickRate > 0) {
      this.setSimulationInterval((ms) => this.step(ms / 1000), 1000 / tickRate);
      this.patchRate = 1000 / tickRate;
    }
  }

  onJoin({ sessionId }) {
    const [x, y] = [Math.random() * SIZE, Math.random() * SIZE];
    this.state.players.set(sessionId, new Player().assign({ x, y, aim: 0, hp: 100, score: 0 }));
    this.inputs.set(sessionId, { d: 0, b: 0, a: 0 });
  }

  onLeave({ sessionId }) {
    this.state.players.delete(sessionId);
    this.inputs.delete(sessionId);
  }

  step(seconds) {
    for (const [sessionId, player] of this.state.players) {
      const { d, b, a } = this.inputs.get(sessionId);
      player.x = within(player.x + Math.cos(DIRECTIONS[d & 7]) * SPEED * seconds);
      player.y = within(player.y + Math.sin(DIRECTIONS[d & 7]) * SPEED * seconds);
      player.aim = a;
      if (b === 3 && Math.random() * HIT_ONE_IN < 1) {
        player.score += 1;
        player.hp = player.hp > 10 ? player.hp - 10 : 100;
      }
    }
  }
}

const server = new Server({ transport: new WebSocketTransport(), greet: false });
// The load says which match a player belongs to.
server.define('arena', ArenaRoom).filterBy(['number']);
await server.listen(port, '127.0.0.1');
