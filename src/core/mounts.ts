/** What is mounted where, as a process sees it: `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */

export interface Mount {
  readonly id: number;
  /** MAJOR:MINOR of the file system. */
  readonly device: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  /** Where it is mounted. */
  readonly point: string;
  /** "ext4", "tmpfs", "cgroup2". */
  readonly type: string;
  /** "/dev/vda1", or any word. */
  readonly source: string;
  /** Options of the file system, not of the mount: "rw", "memory", "upperdir=/a". */
  readonly options: readonly string[];
}

/** Malformed lines are left out. */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").flatMap((line) => parseMount(line) ?? []);
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` */
function parseMount(line: string): Mount | null {
  const words = line.split(" ");
  const [id = "", , device = "", root = "", point = ""] = words;
  const dash = words.indexOf("-", 6);
  const [type, source, options] = dash < 0 ? [] : words.slice(dash + 1);
  if (type === undefined || source === undefined || options === undefined) return null;
  if (!/^\d{1,10}$/.test(id) || !root.startsWith("/") || !point.startsWith("/")) return null;
  return {
    id: Number(id),
    device,
    type,
    root: unquote(root),
    point: unquote(point),
    source: unquote(source),
    options: options.split(",").map(unquote),
  };
}

/** Spaces, and other ends of a word, are written as three octal digits. */
function unquote(word: string): string {
  return word.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => {
    return String.fromCharCode(Number.parseInt(digits, 8));
  });
}

/** The part of `path` below `root`, with its leading slash; "" where they are the same. */
export function below(root: string, path: string): string | null {
  const start = root === "/" ? "" : root;
  const rest = path === "/" ? "" : path;
  if (rest === start) return "";
  if (!rest.startsWith(`${start}/`)) return null;
  return rest.slice(start.length);
}
