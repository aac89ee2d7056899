/** What of a damaged outbox can still be read, in words. */
import type { Salvage, SalvagedStream } from "../../inspect/damage/salvage.ts"
import { commandLine } from "../outbox/command-line.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { printable } from "../output/terminal.ts"
import { bytesText, count } from "../output/words.ts"

export function damageLines({ schema_damaged, wal, streams, tables }: Salvage, place: OutboxPlace): string[] {
  const lines = ["The outbox is damaged. What can still be read:"]
  if (schema_damaged) lines.push("  the first page, or the schema, is damaged: the tables were found without it")
  if (wal?.of === "header") lines.push(`  nothing of the ${bytesText(wal.bytes)} of its -wal`)
  if (wal?.of === "frame")
    lines.push(`  ${wal.read.toLocaleString("en")} of ${wal.written.toLocaleString("en")} frames of its -wal`)
  lines.push(...streams.map((stream) => `  ${salvagedText(stream)}`))
  for (const { table, gaps } of tables) if (gaps > 0) lines.push(`  not all of ${table}: ${count(gaps, "gap")}`)
  return [...lines, `Keep the file and its -wal as they are. ${commandLine(place, "doctor")} says what to do.`]
}

/** Of one stream. */
export function salvagedText(found: SalvagedStream): string {
  const { stream, stream_id, readable, checksum_wrong, expected, expected_is_minimum } = found
  const name = stream === null ? `stream ${stream_id}, of which not even its name` : printable(stream)
  const of = expected === null ? "" : ` of ${expected_is_minimum ? "at least " : ""}${expected.toLocaleString("en")}`
  const wrong = checksum_wrong === 0 ? "" : `; ${count(checksum_wrong, "op")} more, not as recorded`
  return `${name}: ${readable.toLocaleString("en")}${of} ops${wrong}`
}
