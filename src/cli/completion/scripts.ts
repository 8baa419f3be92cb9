/**
 * The scripts of `ramster completion`: they ask the program itself what may stand at the cursor, so
 * a script fits each version of it.
 *
 *     ramster complete WORD ...    ->    :files, :dirs, or lines of "word TAB help"
 */
import { COMPLETE } from "../program.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof SHELLS)[number];

/** The lines that stand for files and folders. */
export const FILES = ":files";
export const FOLDERS = ":dirs";

const BASH = `# bash completion for ramster: eval "$(ramster completion bash)"
_ramster() {
  local current=\${COMP_WORDS[COMP_CWORD]} line
  local -a words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  [[ $current == "=" ]] && current=
  while IFS= read -r line; do
    case $line in
      ${FILES}|${FOLDERS})
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen "-\${line:1:1}" -- "$current")
        return ;;
    esac
    line=\${line%%$'\\t'*}
    # "=" separates words here, so only what follows it is put in.
    [[ $line == --*=* ]] && line=\${line#*=}
    COMPREPLY+=("$line")
  done < <("\${COMP_WORDS[0]}" ${COMPLETE} "\${words[@]}" 2>/dev/null)
}
complete -F _ramster ramster
`;

const ZSH = `#compdef ramster
# zsh completion for ramster: eval "$(ramster completion zsh)", after compinit
_ramster() {
  local line start=
  local -a found
  for line in "\${(@f)$("\${words[1]}" ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      ${FILES}|${FOLDERS})
        [[ $PREFIX == --*=* ]] && compset -P '*='
        if [[ $line == ${FILES} ]]; then _files; else _files -/; fi
        return ;;
    esac
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#found )) && _describe ramster found
}
if [[ $funcstack[1] == _ramster ]]; then _ramster "$@"; else compdef _ramster ramster; fi
`;

const FISH = `# fish completion for ramster: ramster completion fish | source
function __ramster_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] ${COMPLETE} $words[2..-1] 2>/dev/null)
    switch "$found[1]"
        case ${FILES}
            __fish_complete_path (string replace -r '^--[\\w-]+=' '' -- $words[-1])
        case ${FOLDERS}
            __fish_complete_directories (string replace -r '^--[\\w-]+=' '' -- $words[-1])
        case '*'
            string join \\n -- $found
    end
end
complete -c ramster -f -a '(__ramster_complete)'
`;

const SCRIPTS: Readonly<Record<ShellName, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function completionScript(shell: ShellName): string {
  return SCRIPTS[shell];
}
