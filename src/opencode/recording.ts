/**
 * Recordings: a bus stream as text, one `{"t": ms, "event": {id, type, properties}}` per line, plain or gzip (`.gz`).
 * Read as a stream, so that a recording may be larger than memory.
 */
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"
import { SturdyError } from "../intent/error.ts"
import { op_bytes_max } from "../intent/limit.ts"
import { type BusEvent, isOpencodeId, isRecord } from "./event.ts"

/** Far above any event that can be recorded as an op: a file without line ends must not fill the memory. */
const line_bytes_max = 8 * op_bytes_max

const newline = 0x0a
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export interface RecordedEvent {
  /** From 1, empty lines counted. */
  line: number
  /** Events read up to and with this one: what a bookmark holds. */
  place: number
  event: BusEvent
}

/**
 * Names a source by its first event, so that a copy, a longer version or a compressed one of the same recording is
 * the same source. Event ids are random enough to be unique.
 */
export function recordingSource(first: BusEvent): string {
  return `recording/${first.id}`
}

/**
 * The events of a recording, in order. Empty lines are skipped, a byte order mark and CRLF are taken.
 *
 * @throws SturdyError `recording_malformed` at the first line that is no event, after yielding all before it; its
 * message begins with the line number, unless nothing could be read.
 */
export async function* readRecording(path: string): AsyncGenerator<RecordedEvent> {
  let line = 0
  let place = 0
  try {
    for await (const { bytes, ended } of linesOf(bytesOf(path))) {
      line++
      const event = atLine(line, () => parseLine(line === 1 ? withoutMark(bytes) : bytes, ended))
      if (event) yield { line, place: ++place, event }
    }
  } catch (cause) {
    if (cause instanceof SturdyError) throw cause
    throw unreadable(path, line, cause)
  }
}

/** One line of a recording. @throws SturdyError `recording_malformed`; the caller knows the line. */
export function parseRecordingLine(text: string): BusEvent {
  const line = parseJson(text)
  if (!isRecord(line) || !isRecord(line.event)) throw malformed(`not a recorded event: no object "event"`)
  const { id, type, properties } = line.event
  if (!isOpencodeId(id)) throw malformed("event.id is not an id", "event.id")
  if (typeof type !== "string" || type === "") throw malformed("event.type is not a name", "event.type")
  if (!isRecord(properties)) throw malformed(`event.properties of ${id} is not an object`, "event.properties")
  return { id, type, properties }
}

/** Runs `read`, and puts the line number in front of the message of a SturdyError that it throws. */
export function atLine<T>(line: number, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof SturdyError)) throw cause
    const path = cause.path === undefined ? {} : { path: cause.path }
    throw new SturdyError(cause.code, `line ${line}: ${cause.message}`, cause.hint, { cause, ...path })
  }
}

function bytesOf(path: string): AsyncIterable<Buffer> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 })
  // The callback may be empty: errors of both streams reach the reader of the last one, and its end closes both.
  return path.endsWith(".gz") ? pipeline(file, createGunzip(), () => {}) : file
}

/** `ended`: the line has its newline. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ bytes: Buffer; ended: boolean }> {
  let pieces: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end)
      yield { bytes: pieces.length === 0 ? piece : Buffer.concat([...pieces, piece]), ended: true }
      pieces = []
      size = 0
      start = end + 1
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start))
    size += chunk.length - start
    // The line is passed on, cut: whoever parses it knows its number.
    if (size > line_bytes_max) break
  }
  if (size > 0) yield { bytes: Buffer.concat(pieces), ended: false }
}

function parseLine(bytes: Buffer, ended: boolean): BusEvent | undefined {
  if (bytes.length > line_bytes_max) throw malformed(`longer than ${line_bytes_max} bytes`)
  try {
    const text = decode(bytes)
    return text.trim() === "" ? undefined : parseRecordingLine(text)
  } catch (cause) {
    if (ended || !(cause instanceof SturdyError)) throw cause
    throw new SturdyError(
      "recording_malformed",
      `${cause.message}, and the file ends without a newline`,
      "The last line is cut: its writer was stopped, or still writes. Remove that line, or record again.",
      { cause },
    )
  }
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw malformed("not UTF-8 text", undefined, cause)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed("not JSON", undefined, cause)
  }
}

/** The UTF-8 byte order mark that some editors put in front. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes
}

function malformed(message: string, path?: string, cause?: unknown): SturdyError {
  return new SturdyError(
    "recording_malformed",
    message,
    'A recording has one {"t": ms, "event": {"id", "type", "properties"}} per line, as UTF-8 text, or gzip named .gz.',
    path === undefined ? { cause } : { path, cause },
  )
}

function unreadable(path: string, lines: number, cause: unknown): SturdyError {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason"
  return new SturdyError(
    "recording_malformed",
    `${lines > 0 ? `line ${lines + 1}: ` : ""}cannot read ${path} (${reason})`,
    "Check that the file is there, readable, and complete if it is compressed.",
    { cause },
  )
}
