/**
 * What is left out of a share is a matter of the directory that its session belongs to. So the hook by which a share is
 * told is noted with it: an opencode in another directory, with another hook, must not tell what that one leaves out; and
 * in its own directory a hook that is another than before goes over everything that was told.
 */
import type { Outbox, Stream } from "../index.ts"

/** Fingerprint of a hook; `none` for no hook. */
export type Rules = string

export const none: Rules = "none"

export function rulesOf(source: string): Rules {
  return new Bun.CryptoHasher("sha256").update(source).digest("hex").slice(0, 32)
}

/** By which rules the share was told until now; undefined if nobody has noted it. */
export function notedRules(outbox: Outbox, stream: Stream): Rules | undefined {
  return outbox.bookmark(noteOf(stream))?.mark
}

export function noteRules(outbox: Outbox, stream: Stream, rules: Rules): void {
  const source = noteOf(stream)
  const place = (outbox.bookmark(source)?.place ?? 0) + 1
  outbox.unit(() => {}, { bookmark: { source, place, mark: rules } })
}

function noteOf(stream: Stream): string {
  return `opencode/rules/${stream.name}`
}
