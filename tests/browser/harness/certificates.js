// Certificates of a test's own, as files in a folder that goes with it.

import { execFile } from "node:child_process";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { within } from "./wait.js";

const run = promisify(execFile);

/** A certificate and its key, which can be another one from some moment on. */
export class Identity {
  static async make() {
    const identity = new Identity();
    identity.folder = await mkdtemp(join(tmpdir(), "tickcast-certificate-"));
    [identity.cert, identity.key] = ["cert.pem", "key.pem"].map((name) => join(identity.folder, name));
    await identity.renew();
    return identity;
  }

  /** The flags of a node that shows it. */
  get flags() {
    return ["--tls-cert", this.cert, "--tls-key", this.key];
  }

  /** A new key and a certificate for it, in the places of those before. */
  async renew() {
    const made = [this.cert, this.key].map((path) => `${path}.new`);
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const names = ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"];
    await run("openssl", ["req", "-x509", ...kind, ...names, "-out", made[0], "-keyout", made[1]]);
    await rename(made[1], this.key);
    await rename(made[0], this.cert);
  }

  async remove() {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The fingerprint of the certificate that is shown at a port of this machine. */
export function shownAt(port) {
  return within("a certificate is shown", new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", reject);
  }));
}
