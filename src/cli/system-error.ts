/** Errors of the operating system about a file that an operator names, in words. */

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "this user may not access it",
  EEXIST: "it exists already",
  EISDIR: "it is a directory",
  ELOOP: "its symbolic links form a circle",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "there is no such file or directory",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of the path is not a directory",
  EPERM: "this user may not do that",
  EROFS: "the file system is read-only",
};

/** The reason alone: without the code, the system call and the path. */
export function fileReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  return REASONS[code] ?? error.message;
}
