/**
 * TlsMaterial that can be exchanged while sockets use it: whoever reads it has what is in force at
 * that moment. Who has made something of it is told.
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
    for (const tell of [...this.users]) tell();
  }

  /** Calls `tell` after each change, until what is returned is called. */
  onChange(tell: () => void): () => void {
    this.users.add(tell);
    return () => void this.users.delete(tell);
  }
}
