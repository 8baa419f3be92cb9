/**
 * The manual pages, from the tables that the help and the parser are made from: ramster(1), one
 * page for each command, and ramster.conf(5).
 */
import {
  type CommandSpec,
  type FlagSpec,
  flagsOf,
  type NameSpec,
} from "../../src/cli/flag-spec.ts";
import { settableNames, settingGroups } from "../../src/cli/setting-flags.ts";
import { COMMANDS } from "../../src/commands.ts";
import { settingsOf } from "../../src/node/config.ts";
import { dateOf, type Release } from "./release.ts";
import {
  bold,
  entry,
  italic,
  page,
  paragraph,
  part,
  roff,
  section,
  type Title,
  verbatim,
} from "./roff.ts";

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "it is done"],
  ["1", "it failed while it ran"],
  ["2", "a flag or a setting is wrong"],
  ["3", "it could not start: an address is taken, nothing answers, or memory is missing"],
  ["10", "stress got a page with wrong bytes, or did not get a page"],
  ["11", "stress made no progress"],
  ["12", "stress lost a node that was not to stop"],
  ["70", "an assertion failed: a bug"],
];

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/ramster/cluster.key", "the key of the cluster, of root"],
  ["/etc/ramster/server.toml", "the lender of ramster-server.service"],
  ["/etc/ramster/NAME.toml", "the node of ramster-node@NAME.service"],
  ["/run/ramster/", "sockets for programs and commands: server.sock, NAME.sock"],
  ["/run/ramster-node/NAME/nbd.sock", "the exports of a node"],
  ["/usr/share/doc/ramster/examples/", "configurations, alerts, a dashboard, manifests"],
];

/** The file name of each page, and its text. */
export function manPages(release: Release): Map<string, string> {
  const title = (name: string, chapter: number): Title => {
    return { name, chapter, date: dateOf(release), source: `ramster ${release.version}` };
  };
  const pages = new Map([["ramster.1", overview(title("ramster", 1))]]);
  for (const command of COMMANDS) {
    const name = `ramster-${command.name}`;
    pages.set(`${name}.1`, commandPage(command, title(name, 1)));
  }
  return pages.set("ramster.conf.5", configurationPage(title("ramster.conf", 5)));
}

function overview(title: Title): string {
  return page(title, "pools the RAM of a cluster of Linux machines", [
    ...section("Synopsis", `${bold("ramster")} ${italic("COMMAND")} [${italic("FLAGS")}]`),
    ...section(
      "Description",
      roff(
        "Pages that one machine cannot keep are compressed, and move to a machine that has room.",
      ),
      roff("They come back when they are needed."),
      roff("A node keeps pages, a server lends memory, and swap on an export of a node makes the"),
      roff("kernel of this machine use both."),
    ),
    ...section(
      "Commands",
      ...COMMANDS.flatMap(({ name, summary }) => {
        return entry(`${bold(`ramster-${name}`)}(1)`, roff(summary));
      }),
    ),
    ...section("Upgrade", ...upgrade()),
    ...section("Exit status", ...EXIT_CODES.flatMap(([code, text]) => entry(code, roff(text)))),
    ...section("Files", ...FILES.flatMap(([path, text]) => entry(italic(path), roff(text)))),
    ...section(
      "See also",
      `${bold("ramster.conf")}(5), ${bold("swapon")}(8), ${bold("nbd-client")}(8)`,
    ),
  ]);
}

function upgrade(): string[] {
  return [
    roff(
      "An upgrade of the package restarts nothing: running processes keep the program that they",
    ),
    roff("were started with. Restart lenders one after the other, each when the verdict of"),
    `${bold("ramster status")} is HEALTHY again:`,
    ...verbatim("systemctl restart ramster-server.service"),
    ...paragraph("The pages of a node end with it. So bring them home first, and then restart it:"),
    ...verbatim(
      "systemctl stop ramster-swap@NAME.service",
      "systemctl restart ramster-node@NAME.service",
      "systemctl start ramster-swap@NAME.service",
    ),
  ];
}

function commandPage(command: CommandSpec, title: Title): string {
  const { name, summary, examples, names } = command;
  const hasVariables = flagsOf(command).filter(({ variable }) => variable !== undefined);
  return page(title, lower(summary), [
    ...section("Synopsis", synopsis(command)),
    ...section("Description", `${roff(summary)}.`),
    ...(command.arguments ?? []).flatMap((it) => entry(italic(it.name), roff(it.help))),
    ...namesSection("Actions", command.actions),
    ...command.groups.flatMap((group) => {
      return section(
        group.title === "Flags" ? "Options" : group.title,
        ...group.flags.flatMap(flag),
      );
    }),
    ...namesSection("Names", names),
    ...(hasVariables.length === 0
      ? []
      : section(
          "Environment",
          ...hasVariables.flatMap((it) => entry(bold(it.variable ?? ""), flagReference(it))),
        )),
    ...(examples.length === 0 ? [] : section("Examples", ...verbatim(...examples))),
    ...section(
      "See also",
      `${bold("ramster")}(1)${isNode(name) ? `, ${bold("ramster.conf")}(5)` : ""}`,
    ),
  ]);
}

function isNode(name: string): boolean {
  return name === "node" || name === "server";
}

function synopsis(command: CommandSpec): string {
  const words = (command.arguments ?? []).map((it) => {
    return it.required ? italic(it.name) : `[${italic(it.name)}]`;
  });
  const required = flagsOf(command).filter((it) => it.required === true);
  const flags = required.map((it) => `${bold(`--${it.name}`)} ${italic(it.value ?? "")}`);
  const more = command.groups.length === 0 ? [] : [`[${italic("FLAGS")}]`];
  return [bold(`ramster ${command.name}`), ...words, ...flags, ...more].join(" ");
}

function namesSection(title: string, names: readonly NameSpec[] = []): string[] {
  if (names.length === 0) return [];
  return section(title, ...names.flatMap((it) => entry(bold(it.name), roff(it.help))));
}

function flag(spec: FlagSpec): string[] {
  const value = spec.value === null ? "" : italic(spec.value);
  const written = spec.bare === undefined ? value : `[${value}]`;
  const word = `${bold(`--${spec.name}`)}${written === "" ? "" : ` ${written}`}`;
  return entry(word, roff(`${spec.help}${note(spec)}`));
}

function note(spec: FlagSpec): string {
  if (spec.required === true) return " (required)";
  const text = spec.neededBy ?? spec.defaultNote ?? spec.default;
  if (text === undefined) return "";
  return spec.neededBy === undefined ? ` (default: ${text})` : ` (${text})`;
}

function flagReference({ name }: FlagSpec): string {
  return `${roff("the value of")} ${bold(`--${name}`)} ${roff("when that is not given")}`;
}

/** ramster.conf(5): the settings of a node as keys of a TOML file. */
function configurationPage(title: Title): string {
  const settable = settableNames().length;
  const settings = new Map(settingsOf("node").map(([, it]) => [it.flag, it.live === true]));
  const key = (spec: FlagSpec): string[] => {
    const value = spec.value === null ? "true|false" : spec.value;
    const change = settings.get(spec.name) === true ? ". It may change while the node runs" : "";
    const word = `${bold(spec.name)} = ${italic(value)}`;
    return entry(word, roff(`${spec.help}${note(spec)}${change}`));
  };
  const groups = settingGroups("node");
  return page(title, "settings of a ramster node or server", [
    ...section("Synopsis", italic("/etc/ramster/NAME.toml")),
    ...section(
      "Description",
      roff("The file that --config names is TOML. Each flag of the command is a key."),
      roff(
        "Its value is the text that follows the flag, in quotes; a list may be an array, a number",
      ),
      roff("may stand without quotes, and a flag without a value is true or false."),
      roff("Flags on the command line override the file."),
      ...paragraph(
        "SIGHUP makes a node read the file again. It sets what has changed and may change:",
      ),
      ...verbatim("systemctl reload ramster-node@NAME.service"),
      ...paragraph(`ramster set changes one of ${settable} settings for as long as the node runs.`),
      ...paragraph("The ramster.conf of the original is read as well, as far as it applies."),
    ),
    ...section("Example", ...verbatim(...EXAMPLE)),
    ...groups.flatMap(({ title: name, flags }) => {
      return section(name, ...flags.filter((it) => it.name !== "config").flatMap(key));
    }),
    ...section(
      "Server",
      roff(
        "A server has the same keys, except those of its own pages, swap, disk, block devices and",
      ),
      `${roff("compression. Its")} ${bold("memory")} ${roff("is what it lends:")}`,
      ...part("Memory", ...serverMemory()),
    ),
    ...section("See also", `${bold("ramster-node")}(1), ${bold("ramster-server")}(1)`),
  ]);
}

const EXAMPLE = [
  'listen = "10.0.0.3:7777"',
  'join = ["10.0.0.1:7946", "10.0.0.2:7946"]',
  'key = "/etc/ramster/cluster.key"',
  'memory = "256MiB"',
  "selfshrink = false",
] as const;

function serverMemory(): string[] {
  const flags = settingGroups("server").flatMap((group) => group.flags);
  return flags
    .filter(({ name }) => name === "memory")
    .flatMap((it) =>
      entry(`${bold(it.name)} = ${italic(it.value ?? "")}`, roff(it.help + note(it))),
    );
}

/** The summary in a list of pages, such as apropos(1) shows. */
function lower(summary: string): string {
  return summary.slice(0, 1).toLowerCase() + summary.slice(1);
}
