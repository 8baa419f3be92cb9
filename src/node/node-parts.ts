/**
 * NodeParts: the parts of a node, for the code that reports and changes its state while it runs.
 */
import type { Codec } from "../compress/codec.ts";
import type { HostMemory } from "../core/host-memory.ts";
import type { Log } from "../core/log.ts";
import type { ClientDoorSettings } from "../doors/client-door.ts";
import type { HttpDoor } from "../doors/http-door.ts";
import type { NbdDoor } from "../exports/nbd-door.ts";
import type { EventRing } from "../monitoring/events.ts";
import type { Links } from "../net/links.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { Active } from "../standby/active.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import type { LiveConfig } from "./config.ts";
import type { Drain } from "./drain.ts";
import type { Lending } from "./lending.ts";
import type { Membership } from "./membership.ts";
import type { Nowhere } from "./nowhere.ts";
import type { Offers } from "./offers.ts";
import type { PeerConfig } from "./peers.ts";

export interface NodeParts {
  /** The settings in force. `ramster set` changes them (live-settings.ts). */
  readonly config: LiveConfig;
  /** Compresses pages. Null on a server, which compresses none. */
  readonly codec: Codec | null;
  readonly bootId: bigint;
  readonly ramster: Ramster;
  /** Null on a node that lends nothing, and so is `lending`. */
  readonly foreign: Foreign | null;
  readonly lending: Lending | null;
  readonly drain: Drain;
  readonly nowhere: Nowhere;
  readonly events: EventRing;
  readonly offers: Offers;
  readonly nbdDoor: NbdDoor;
  readonly httpDoor: HttpDoor;
  /** The client door reads these settings when it needs them. */
  readonly clientDoorSettings: ClientDoorSettings;
  readonly links: Links;
  readonly log: Log;
  readonly hostMemory: HostMemory;
  /** The peers that are named by hand. */
  readonly peers: PeerConfig[];
  /** The members of the cluster. Null: the node does not gossip. */
  readonly membership: Membership | null;
  /** Null: the node has no key. */
  readonly certificate: CertificateWatch | null;
  /** What its standby sees of it. Null: the node has one process. */
  readonly active: Active | null;
  /** The address at which the node listens, once it does. */
  readonly listenAddress: () => string;
}
