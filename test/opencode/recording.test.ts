import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { SturdyError } from "../../src/intent/error.ts"
import { mapEvent } from "../../src/opencode/map-event.ts"
import { atLine, parseRecordingLine, readRecording, recordingSource } from "../../src/opencode/recording.ts"
import { fixturePath } from "./reference.ts"

const folder = mkdtempSync(join(tmpdir(), "sturdy-recording-"))
afterAll(() => rmSync(folder, { recursive: true }))

function lineOf(id: string, text = ""): string {
  return JSON.stringify({ t: 1, event: { id, type: "session.idle", properties: { sessionID: "ses_1", text } } })
}

async function write(content: string | Uint8Array, name = "recording.jsonl"): Promise<string> {
  const path = join(folder, name)
  await Bun.write(path, content)
  return path
}

/** The ids of the events, then the error's message if there was one. */
async function read(path: string): Promise<string[]> {
  const seen: string[] = []
  try {
    for await (const { line, place, event } of readRecording(path)) seen.push(`${line} ${place} ${event.id}`)
  } catch (error) {
    if (!(error instanceof SturdyError) || error.code !== "recording_malformed") throw error
    seen.push(error.message)
  }
  return seen
}

describe("readRecording", () => {
  test("gives line, place and event of each line, with or without a final newline", async () => {
    const content = `${lineOf("evt_1")}\n${lineOf("evt_2")}`
    expect(await read(await write(content))).toEqual(["1 1 evt_1", "2 2 evt_2"])
    expect(await read(await write(`${content}\n`))).toEqual(["1 1 evt_1", "2 2 evt_2"])
  })

  test("takes a byte order mark and CRLF, and skips empty lines but counts them", async () => {
    const content = `\uFEFF${lineOf("evt_1")}\r\n\r\n  \n${lineOf("evt_2")}\r\n`
    expect(await read(await write(content))).toEqual(["1 1 evt_1", "4 2 evt_2"])
  })

  test("gives nothing for an empty file", async () => {
    expect(await read(await write(""))).toEqual([])
  })

  test("reads text whose characters and lines are cut by the chunks of the file", async () => {
    const text = "é漢🙂".repeat(40_000)
    const path = await write([lineOf("evt_1", text), lineOf("evt_2", `x${text}`), lineOf("evt_3")].join("\n"))
    const events = await Array.fromAsync(readRecording(path))
    expect(events.map(({ event }) => event.properties.text)).toEqual([text, `x${text}`, ""])
  })

  test("gives all events before a malformed line, and then its number", async () => {
    const content = (line: string) => `${lineOf("evt_1")}\n${line}\n${lineOf("evt_3")}\n`
    expect(await read(await write(content("{]")))).toEqual(["1 1 evt_1", "line 2: not JSON"])
    const noEvent = 'line 2: not a recorded event: no object "event"'
    expect(await read(await write(content('{"t": 1}')))).toEqual(["1 1 evt_1", noEvent])
  })

  test("says that the last line is cut, whatever byte it was cut at", async () => {
    const [first, last] = [lineOf("evt_1"), lineOf("evt_2", "é")]
    const bytes = Buffer.from(`${first}\n${last}`)
    for (let end = Buffer.byteLength(first) + 2; end < bytes.length; end++) {
      const seen = await read(await write(bytes.subarray(0, end)))
      expect(seen).toEqual(["1 1 evt_1", expect.stringMatching(/^line 2: .* without a newline$/) as never])
    }
  })

  test("refuses bytes that are no UTF-8 instead of replacing them", async () => {
    const bytes = Buffer.from(`${lineOf("evt_1")}\n${lineOf("evt_2", "?")}\n`)
    bytes[bytes.lastIndexOf("?")] = 0xff
    expect(await read(await write(bytes))).toEqual(["1 1 evt_1", "line 2: not UTF-8 text"])
  })

  test("refuses a line beyond the limit without holding the file in memory", async () => {
    const path = await write(Buffer.alloc(40 * 1024 * 1024, 0x20))
    expect(await read(path)).toEqual([expect.stringMatching(/^line 1: longer than 33554432 bytes/) as never])
  })

  test("reads gzip as it reads text, and says where a cut one ends", async () => {
    const text = `${lineOf("evt_1")}\n${lineOf("evt_2")}\n`
    expect(await read(await write(gzipSync(text), "whole.jsonl.gz"))).toEqual(["1 1 evt_1", "2 2 evt_2"])
    const cut = await write(gzipSync(text).subarray(0, -9), "cut.jsonl.gz")
    expect((await read(cut)).at(-1)).toMatch(/^line \d: cannot read .*cut\.jsonl\.gz \(Z_BUF_ERROR\)$|^cannot read/)
  })

  test("says which file cannot be read and why", async () => {
    const path = join(folder, "nothing-here.jsonl")
    expect(await read(path)).toEqual([`cannot read ${path} (ENOENT)`])
    expect(await read(`${path}.gz`)).toEqual([`cannot read ${path}.gz (ENOENT)`])
    expect(await read(folder)).toEqual([`cannot read ${folder} (EISDIR)`])
  })

  test("can be left early", async () => {
    for await (const { event } of readRecording(fixturePath("long-session-60", "jsonl"))) {
      expect(event.type).toBe("session.created")
      break
    }
  })
})

describe("parseRecordingLine", () => {
  test("ignores the time and whatever stands beside the event", () => {
    const event = { id: "evt_1", type: "x", properties: {} }
    expect(parseRecordingLine(JSON.stringify({ event, extra: 1 }))).toEqual(event)
  })

  test("names the field that makes a line no event", () => {
    const event = { id: "evt_1", type: "x", properties: {} }
    const broken = [
      { ...event, id: 1 },
      { ...event, type: "" },
      { ...event, properties: [] },
    ]
    const pathOf = (line: unknown) => {
      try {
        return parseRecordingLine(JSON.stringify(line)).id
      } catch (error) {
        return (error as SturdyError).path
      }
    }
    expect(broken.map((event) => pathOf({ event }))).toEqual(["event.id", "event.type", "event.properties"])
  })
})

test("an event that cannot be mapped is reported with its line", () => {
  const event = parseRecordingLine(lineOf("evt_1").replace("session.idle", "session.diff"))
  expect(() => atLine(17, () => mapEvent(event))).toThrow("line 17: session.diff evt_1: properties.diff is missing")
})

test("a longer, compressed copy of a recording is the same source, another recording is not", async () => {
  const sourceOf = async (path: string) => {
    for await (const { event } of readRecording(path)) return recordingSource(event)
    return "none"
  }
  const path = fixturePath("short-text", "jsonl")
  const copy = await write(gzipSync(`${await Bun.file(path).text()}${lineOf("evt_later")}\n`), "copy.jsonl.gz")
  expect(await sourceOf(copy)).toBe(await sourceOf(path))
  expect(await sourceOf(fixturePath("tool-calls", "jsonl"))).not.toBe(await sourceOf(path))
})
