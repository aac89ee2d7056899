/** The captures of a document: after each marker a fenced block, which is made anew. */
import { readFileSync, writeFileSync } from "node:fs"
import { capture, situationNamed, type Capture, type Captured } from "./capture.ts"

const marker = /^<!-- capture: (?<situation>\w+) (?<width>\d+) (?:(?<after>\d+)s )?(?<command>.+?) -->$/

export async function captureAll(file: string): Promise<void> {
  const lines = readFileSync(file, "utf8").split("\n")
  const written: string[] = []
  let count = 0
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    written.push(line)
    const wanted = captureIn(line)
    if (!wanted) continue
    console.error(line)
    written.push("", ...block(await capture(wanted)))
    at = endOfBlock(lines, at)
    count += 1
  }
  writeFileSync(file, written.join("\n"))
  console.error(`${count} captures in ${file}`)
}

/** @throws Error if it names no situation that there is, or looks like a marker and is none. */
function captureIn(line: string): Capture | undefined {
  if (!line.startsWith("<!-- capture:")) return
  const groups = marker.exec(line)?.groups
  if (!groups) throw new Error(`not <!-- capture: SITUATION WIDTH [Ns] COMMAND … -->: ${line}`)
  return {
    situation: situationNamed(groups.situation!),
    width: Number(groups.width),
    height: 40,
    after_s: groups.after === undefined ? undefined : Number(groups.after),
    command: groups.command!.split(" "),
  }
}

function block({ typed, plain }: Captured): string[] {
  return ["```console", `$ ${typed}`, ...plain.split("\n"), "```"]
}

/** The last line of the fenced block that follows the marker; the marker's own if there is none. */
function endOfBlock(lines: readonly string[], marker_at: number): number {
  const begin = lines.findIndex((line, at) => at > marker_at && line !== "")
  if (begin < 0 || !lines[begin]!.startsWith("```")) return marker_at
  const end = lines.findIndex((line, at) => at > begin && line === "```")
  if (end < 0) throw new Error(`the block after line ${marker_at + 1} does not end`)
  return end
}
