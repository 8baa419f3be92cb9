/** Writes manual pages in the language of man(7): text is escaped, and cannot be a request. */

/** A text inside a line. */
export function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/^\./, "\\&.");
}

export function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${roff(text)}\\fR`;
}

export function section(title: string, ...lines: readonly string[]): string[] {
  // A section begins a paragraph of its own.
  return [`.SH ${title.toUpperCase()}`, ...(lines[0] === ".PP" ? lines.slice(1) : lines)];
}

export function part(title: string, ...lines: readonly string[]): string[] {
  return [`.SS ${roff(title)}`, ...lines];
}

/** A word and what it means. Both are written in roff. */
export function entry(word: string, ...meaning: readonly string[]): string[] {
  return [".TP", word, ...meaning];
}

export function paragraph(text: string): string[] {
  return [".PP", roff(text)];
}

/** Lines as they stand. */
export function verbatim(...lines: readonly string[]): string[] {
  return [".PP", ".nf", ".RS 4", ...lines.map((line) => roff(line) || "\\&"), ".RE", ".fi"];
}

export interface Title {
  readonly name: string;
  readonly chapter: number;
  readonly date: string;
  readonly source: string;
}

export function page(
  { name, chapter, date, source }: Title,
  summary: string,
  body: readonly string[],
): string {
  const head = [
    `.TH ${name.toUpperCase()} ${chapter} "${date}" "${source}" "ramster"`,
    ".SH NAME",
    `${roff(name)} \\- ${roff(summary)}`,
  ];
  return `${[...head, ...body].join("\n")}\n`;
}
