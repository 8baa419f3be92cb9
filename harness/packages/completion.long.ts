/**
 * `ramster completion` in real shells: each completes commands, flags, settings, values and files.
 * A shell that is not installed is skipped.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completionScript, SHELLS, type ShellName } from "../../src/cli/completion/scripts.ts";
import { PROGRAM } from "../processes/process-world.ts";
import { areToolsRequired, TOOL_PATH, which } from "../processes/tools.ts";

const folder = mkdtempSync(join(tmpdir(), "ramster-completion-"));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, "bin"));
symlinkSync(PROGRAM[0] ?? "", join(folder, "bin/ramster"));
mkdirSync(join(folder, "keys"));
writeFileSync(join(folder, "keys/cluster.key"), "");
for (const shell of SHELLS) writeFileSync(join(folder, `script.${shell}`), completionScript(shell));

/** Writes what zsh would show to the file "words". Calls that only sort words are not its answers. */
const COMPADD = `compadd() {
  if (( \${@[(I)-[OAD]]} )); then builtin compadd "$@"; return; fi
  typeset -ga hits
  builtin compadd -O hits "$@"
  print -l -- WORD:\${^hits} >> ${folder}/words
  builtin compadd "$@"
}
`;
writeFileSync(join(folder, "compadd.zsh"), COMPADD);

/** Prints what the shell offers for the line in LINE. */
const ASK: Readonly<Record<ShellName, string>> = {
  // As readline does: words end at COMP_WORDBREAKS, "=" among them.
  bash: `source script.bash
    spaced=\${LINE//=/ = }
    read -ra COMP_WORDS <<< "$spaced"
    [[ $LINE == *[\\ =] ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
    compopt() { :; }
    _ramster
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  // A shell of its own with a terminal: only there does zsh complete.
  zsh: `zmodload zsh/zpty
    zpty shell zsh -f -i
    ask() { zpty -w shell "$1" }
    ask 'autoload -Uz compinit; compinit -u -d '$PWD'/dump; PROMPT=; unsetopt zle_bracketed_paste'
    ask 'zstyle ":completion:*" list-colors; LISTMAX=1000; COLUMNS=500; setopt no_beep'
    ask 'source script.zsh'
    ask 'source compadd.zsh'
    ask 'finish() { print -- END >> '$PWD'/words }; zle -N finish; bindkey "^X" finish'
    : > words
    zpty -n -w shell "$LINE"$'\\t'$'\\C-X'
    until grep -q '^END' words; do zpty -r -t shell more; sleep 0.02; done
    zpty -d shell
    sed -n 's/^WORD://p' words | sort -u`,
  fish: `source script.fish
    complete -C "$LINE" | string replace -r '\\t.*' ''`,
};

async function offered(shell: ShellName, line: string): Promise<string[]> {
  const home = join(folder, `home-${shell}`);
  mkdirSync(home, { recursive: true });
  chmodSync(home, 0o700);
  const words = shell === "bash" ? ["--norc"] : shell === "zsh" ? ["-f"] : ["--no-config"];
  const child = Bun.spawn([which(shell) ?? shell, ...words, "-c", ASK[shell]], {
    cwd: folder,
    env: { PATH: `${folder}/bin:${TOOL_PATH}`, HOME: home, LINE: line, TERM: "dumb" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const text = await child.stdout.text();
  await child.exited;
  return text
    .split("\n")
    .filter((it) => it !== "")
    .sort();
}

describe.each([...SHELLS])("%s", (shell) => {
  const isMissing = which(shell) === null && !areToolsRequired;
  test.skipIf(isMissing).each([
    ["ramster undr", ["undrain"]],
    ["ramster set selfshrink_h", ["selfshrink_hysteresis"]],
    ["ramster set selfshrink ", ["off", "on"]],
    ["ramster node --network ", ["lan", "local", "wan"]],
    ["ramster swap r", ["rotate"]],
  ])("%p", async (line, expected) => {
    expect(await offered(shell, line)).toEqual(expected);
  });

  test.skipIf(isMissing)("flags, and what follows an equals sign", async () => {
    expect(await offered(shell, "ramster node --selfshrink-h")).toEqual([
      "--selfshrink-hysteresis",
    ]);
    const [first = ""] = await offered(shell, "ramster node --network=w");
    expect(first.replace("--network=", "")).toBe("wan");
  });

  test.skipIf(isMissing)("files", async () => {
    const found = await offered(shell, "ramster node --key keys/cl");
    expect(found.some((word) => word.endsWith("cluster.key"))).toBe(true);
  });
});
