/**
 * What a capture shows in place of this machine: a home directory, addresses, a host name. Each stand-in is as long as
 * what it stands for, where that can be had, so that nothing moves; else the blanks after it give way.
 */
import { mkdtempSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import type { Situation } from "../situation/situations.ts"

/** As long as an address of the loopback with a port of five digits. */
const origins = ["https://shares.example", "https://papers.example"]

/** On Linux its path is as long as the stand-in's. */
export function makeHome(): string {
  return mkdtempSync(`${tmpdir()}/`)
}

export function withStandIns(text: string, { home, services }: Situation): string {
  const pairs: [string, string][] = [[home, "/users/anna"]]
  for (const [index, { url }] of services.entries()) {
    const origin = origins[index]!
    pairs.push([url, origin], [new URL(url).host, new URL(origin).host])
  }
  pairs.push([hostname(), "workshop"])
  return pairs.reduce((done, [from, to]) => replaced(done, from, to), text)
}

/** Also where the terminal broke the line within it. */
function replaced(text: string, from: string, to: string): string {
  const broken = [...from].map((letter) => RegExp.escape(letter)).join("\\n?")
  const pattern = new RegExp(`(${broken})([^\\s]*)( {2,})?`, "g")
  return text.replace(pattern, (_, found: string, rest: string, blanks: string | undefined) => {
    const at = found.indexOf("\n")
    const shown = at < 0 ? to : `${to.slice(0, at)}\n${to.slice(at)}`
    if (blanks === undefined) return shown + rest
    return shown + rest + " ".repeat(Math.max(2, blanks.length + from.length - to.length))
  })
}
