/**
 * A transport whose TCP streams all use TLS. Unix sockets stay plain, since file permissions
 * protect them. Datagrams stay as they are, since gossip encrypts them itself.
 *
 * When the material of RenewableTls changes, listeners are reopened at their addresses, since a
 * listening socket keeps the material that it was made with. Open streams stay open.
 */
import { parseAddress } from "./address.ts";
import { RenewableTls } from "./renewable-tls.ts";
import type {
  Dialler,
  Listener,
  Stream,
  StreamEvents,
  TlsMaterial,
  Transport,
} from "./transport.ts";

/** `onFailure` gets one line when a listener could not be reopened. */
export function secured(
  transport: Transport,
  tls: TlsMaterial,
  onFailure: (line: string) => void = () => {},
): Transport {
  return {
    listen: async (address, accept) => {
      if (address.kind !== "tcp") return transport.listen(address, accept, {});
      const listener = await transport.listen(address, accept, { tls });
      if (!(tls instanceof RenewableTls)) return listener;
      return new RenewedListener({ transport, tls, accept, onFailure }, listener);
    },
    ...securedDialler(transport, tls),
    bind: (address, onDatagram) => transport.bind(address, onDatagram),
    lookup: (host) => transport.lookup(host),
  };
}

export function securedDialler(dialler: Dialler, tls: TlsMaterial): Dialler {
  return {
    connect: (address, events) => {
      return dialler.connect(address, events, address.kind === "tcp" ? { tls } : {});
    },
  };
}

interface Renewal {
  readonly transport: Transport;
  readonly tls: RenewableTls;
  readonly accept: (stream: Stream) => StreamEvents | null;
  readonly onFailure: (line: string) => void;
}

class RenewedListener implements Listener {
  readonly address: string;
  private readonly renewal: Renewal;
  private readonly forget: () => void;
  private listener: Listener;
  private isClosed = false;
  /** Renewals run one after the other, since the address is free only when the last one is done. */
  private renewed: Promise<void> = Promise.resolve();

  constructor(renewal: Renewal, listener: Listener) {
    this.renewal = renewal;
    this.listener = listener;
    this.address = listener.address;
    this.forget = renewal.tls.onChange(() => {
      this.renewed = this.renewed.then(() => this.renew());
    });
  }

  close(): void {
    this.isClosed = true;
    this.forget();
    this.listener.close();
  }

  private async renew(): Promise<void> {
    const { transport, tls, accept, onFailure } = this.renewal;
    if (this.isClosed) return;
    this.listener.close();
    try {
      const listener = await transport.listen(parseAddress(this.address), accept, { tls });
      if (this.isClosed) listener.close();
      else this.listener = listener;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onFailure(`${reason}: nobody can connect there until this node is restarted`);
    }
  }
}
