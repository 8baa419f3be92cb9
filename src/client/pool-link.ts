/**
 * PoolLink: what a client knows of a pool that it made or opened, so that a new connection can open
 * it again. The Pool objects of one pool share it.
 */
export class PoolLink {
  readonly id: number;
  /** Destroyed, or its node has restarted. */
  isGone = false;
  /** The program has asked for the token, so somebody else may have it. */
  isShared = false;
  /** Null until the node has told it. */
  token: string | null;

  constructor(id: number, token: string | null) {
    this.id = id;
    this.token = token;
  }
}

/** The pools of one client. A node gives a number again after its pool was destroyed. */
export class PoolLinks {
  private readonly links = new Map<number, PoolLink>();

  made(id: number): PoolLink {
    return this.replace(new PoolLink(id, null));
  }

  opened(id: number, token: string): PoolLink {
    const known = this.links.get(id);
    const isSame = known !== undefined && !known.isGone && (known.token ?? token) === token;
    if (!isSame) return this.replace(new PoolLink(id, token));
    known.token = token;
    return known;
  }

  /** Those that a new connection has to open. Without a token that is not possible. */
  forNextConnection(): Array<PoolLink & { readonly token: string }> {
    const open: Array<PoolLink & { readonly token: string }> = [];
    for (const link of this.links.values()) {
      if (hasToken(link) && !link.isGone) open.push(link);
      else this.forget(link);
    }
    return open;
  }

  forget(link: PoolLink): void {
    link.isGone = true;
    if (this.links.get(link.id) === link) this.links.delete(link.id);
  }

  private replace(link: PoolLink): PoolLink {
    const known = this.links.get(link.id);
    if (known !== undefined) known.isGone = true;
    this.links.set(link.id, link);
    return link;
  }
}

function hasToken(link: PoolLink): link is PoolLink & { token: string } {
  return link.token !== null;
}
