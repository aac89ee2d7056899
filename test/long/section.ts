/** One part of the long run: it measures, and says what is wrong. */
export interface Section {
  readonly name: string
  run(input: SectionInput): Promise<SectionResult>
}

export interface SectionInput {
  rounds: number
  seed: number
  /** Replaces the line that stands. */
  progress(text: string): void
}

export interface SectionResult {
  /** Lost, doubled, reordered, starved …; empty if nothing is. */
  wrong: string[]
  /** Counts, and times in ms where the name says so; several: one per process. */
  figures: Record<string, number | readonly number[]>
}
