/** NodeNames: what a node calls the other nodes in its log. */
import { quoted } from "./errors.ts";

export class NodeNames {
  private readonly names = new Map<number, string>();

  /** `name` may have text from outside as it came. Numbers are below NODES_MAX. */
  note(node: number, name: string): void {
    this.names.set(node, name);
  }

  /** `"lender-a"`, also after that node is gone; `node 7` while its name is not known. */
  of(node: number): string {
    const name = this.names.get(node);
    return name === undefined ? `node ${node}` : quoted(name);
  }
}
