/**
 * RenewableTls: TlsMaterial that can be replaced while sockets use it. Readers always get the
 * current material. Users that derived something from it are notified of a change.
 */
import type { TlsMaterial } from "./transport.ts";

export class RenewableTls implements TlsMaterial {
  private material: TlsMaterial;
  private readonly users = new Set<() => void>();

  constructor(material: TlsMaterial) {
    this.material = material;
  }

  get authority(): string {
    return this.material.authority;
  }

  get certificate(): string {
    return this.material.certificate;
  }

  get key(): string {
    return this.material.key;
  }

  replace(material: TlsMaterial): void {
    this.material = material;
    for (const notify of [...this.users]) notify();
  }

  /** Calls `notify` after each change. @returns a function that ends these calls. */
  onChange(notify: () => void): () => void {
    this.users.add(notify);
    return () => void this.users.delete(notify);
  }
}
