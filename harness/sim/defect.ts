/** A mutation of the code that a simulation or a test must find (defects.ts). */

export interface Edit {
  /** From the root of the project. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Defect {
  readonly name: string;
  /** The effect of the defect. */
  readonly about: string;
  readonly edits: readonly Edit[];
  /** The test that fails with the defect, where no seed in reach finds it. */
  readonly caughtBy?: { readonly file: string; readonly test: string };
}
