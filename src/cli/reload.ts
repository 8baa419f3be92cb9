/**
 * Reload: what a node does at SIGHUP. It reads its command line and the file of --config again, and
 * sets what has changed there and may change while it runs. Values that `ramster set` changed stay,
 * unless the file changed them too.
 */
import { ConfigError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type NodeConfig, settingsOf } from "../node/config.ts";
import type { Setting } from "../node/setting.ts";
import type { SettingKey } from "../node/settings.ts";

/** The part of NodeAdmin that is used. */
interface Settable {
  /** Throws ConfigError when the setting cannot have the value now. */
  setKnob(name: string, value: string): string;
}

interface Change {
  readonly key: SettingKey;
  readonly flag: string;
  readonly text: string;
}

export class Reload {
  private last: NodeConfig;
  private readonly readAgain: () => NodeConfig;
  private readonly log: Log;

  /** `readAgain` throws ConfigError when the configuration is wrong. */
  constructor(first: NodeConfig, readAgain: () => NodeConfig, log: Log) {
    // The node changes its own object.
    this.last = { ...first };
    this.readAgain = readAgain;
    this.log = log;
  }

  /** `node` is null while it starts. */
  onHangup(node: Settable | null): void {
    if (node === null) {
      return this.log.write("warn", "ramster", "ignored SIGHUP: the node is not ready yet");
    }
    let fresh: NodeConfig;
    try {
      fresh = this.readAgain();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const what = `Cannot read the configuration again, so nothing has changed: ${error.message}`;
      return this.log.write("error", "ramster", what);
    }
    const changes = changesBetween(this.last, fresh);
    if (changes.length === 0) {
      return this.log.write("info", "ramster", "read the configuration again: it is the same");
    }
    // A mark may be refused until the other one, which it must stay below, has its new value.
    const refused = changes.filter((change) => this.apply(node, change) !== null);
    const last: Record<string, unknown> = { ...fresh };
    for (const change of refused) {
      const reason = this.apply(node, change);
      if (reason === null) continue;
      this.log.write("warn", "ramster", reason);
      last[change.key] = this.last[change.key];
    }
    this.last = last as unknown as NodeConfig;
  }

  /** @returns why the change is refused, or null. */
  private apply(node: Settable, { flag, text }: Change): string | null {
    try {
      node.setKnob(flag, text);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message;
    }
    this.log.write(
      "info",
      "ramster",
      `set "${flag}" to "${text}", as the configuration has it now`,
    );
    return null;
  }
}

function changesBetween(before: NodeConfig, after: NodeConfig): Change[] {
  return settingsOf(after.role)
    .filter(([key]) => !Bun.deepEquals(before[key], after[key]))
    .map(([key, setting]) => ({ key, flag: setting.flag, text: textOf(after[key], setting) }));
}

function textOf(value: unknown, { flag, type, defaultNote }: Setting): string {
  const text = value === null ? "none" : type.format(value);
  // The levels of the log have a name for their default, and none for an empty list.
  return text === "" && flag === "log" ? (defaultNote ?? text) : text;
}
