/** NodeParts: what a node is made of, for those who watch it and set it while it runs. */
import type { Log } from "../core/log.ts";
import type { ClientDoorSettings } from "../doors/client-door.ts";
import type { HttpDoor } from "../doors/http-door.ts";
import type { NbdDoor } from "../exports/nbd-door.ts";
import type { Links } from "../net/links.ts";
import type { Foreign } from "../ramster/foreign/foreign.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import type { LiveConfig } from "./config.ts";
import type { Drain } from "./drain.ts";
import type { Lending } from "./lending.ts";
import type { Membership } from "./membership.ts";
import type { Nowhere } from "./nowhere.ts";
import type { Offers } from "./offers.ts";
import type { PeerConfig } from "./peers.ts";

export interface NodeParts {
  /** What is in force: `ramster set` changes it (live-settings.ts). */
  readonly config: LiveConfig;
  readonly bootId: bigint;
  readonly ramster: Ramster;
  /** Null on a node that lends nothing, as `lending`. */
  readonly foreign: Foreign | null;
  readonly lending: Lending | null;
  readonly drain: Drain;
  readonly nowhere: Nowhere;
  readonly offers: Offers;
  readonly nbdDoor: NbdDoor;
  readonly httpDoor: HttpDoor;
  /** The client door reads them when it needs them. */
  readonly clientDoorSettings: ClientDoorSettings;
  readonly links: Links;
  readonly log: Log;
  /** Those named by hand. */
  readonly peers: PeerConfig[];
  /** Who is in the cluster; null: nobody gossips. */
  readonly membership: Membership | null;
  /** Null: nothing is secured. */
  readonly certificate: CertificateWatch | null;
  /** Where the node listens, once it does. */
  readonly listenAddress: () => string;
}
