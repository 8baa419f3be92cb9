/** Client doors of real nodes, as programs reach them: a unix socket, a port, and a port with a key. */
import type { ProcessWorld } from "../processes/process-world.ts";

const PORT = "--client=tcp:127.0.0.1:0";

export class ClientDoors {
  /** The arguments of client-suite.mjs for each door. */
  readonly all: readonly (readonly string[])[];
  /** The address of the unix socket. */
  readonly unix: string;

  private constructor(unix: string, all: readonly (readonly string[])[]) {
    this.unix = unix;
    this.all = all;
  }

  static async open(world: ProcessWorld): Promise<ClientDoors> {
    const [key, other] = [world.path("cluster.key"), world.path("other.key")];
    await Promise.all([key, other].map((path) => world.run(["keygen", `--out=${path}`])));
    const memory = "--memory=128MiB";
    const [unix, port, secured] = await Promise.all([
      world.start("node", 1, [memory]),
      world.start("node", 2, [memory, PORT]),
      world.start("node", 3, [memory, PORT, `--key=${key}`]),
    ]);
    return new ClientDoors(unix.client, [
      [unix.client],
      [port.client],
      [secured.client, key, other],
    ]);
  }
}
