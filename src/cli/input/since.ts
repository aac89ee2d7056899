/** Times as people type them. */
import { type Command, type Input, textOption, UsageError } from "./command.ts"

export const sinceHelp = "a time, e.g. 2026-03-01T12:00, or how long ago: 90s, 10m, 2h, 3d"

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** ms; undefined if it is no length of time. */
function spanOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(s|m|h|d)$/.exec(text) ?? []
  return amount === undefined || unit === undefined ? undefined : Number(amount) * units[unit]!
}

/** ms since the epoch. A time without a zone is local. @throws UsageError */
export function sinceOption(command: Command, input: Input, now: number): number | undefined {
  const text = textOption(input, "since")
  if (text === undefined) return
  const span = spanOf(text)
  if (span !== undefined) return now - span
  const at = /^\d{4}-\d{2}/.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(at)) return at
  throw new UsageError(`--since must be ${sinceHelp}; got ${text}`, command)
}

/** A length of time, in ms. @throws UsageError */
export function spanOption(command: Command, input: Input, name: string): number | undefined {
  const text = textOption(input, name)
  if (text === undefined) return
  const span = spanOf(text)
  if (span !== undefined) return span
  throw new UsageError(`--${name} must be a length of time, e.g. 90s, 10m, 2h, 3d; got ${text}`, command)
}
