/** Test helpers: what the store and the share make of mapped ops, in the fewest lines that can be right. */
import { gunzipSync } from "node:zlib"
import { join } from "node:path"
import type { BusEvent } from "../../src/opencode/event.ts"
import { type Mapped, type MappedOp, mapEvent } from "../../src/opencode/map-event.ts"
import { readRecording } from "../../src/opencode/recording.ts"

export const recordings = {
  "big-tool-output": ".gz",
  "fork-and-revert": "",
  "kill9-midstream": "",
  "long-session-60": ".gz",
  "share-unshare": "",
  "short-text": "",
  "tool-calls": "",
}
export type RecordingName = keyof typeof recordings
export const recordingNames = Object.keys(recordings) as RecordingName[]

export function fixturePath(name: RecordingName, kind: "jsonl" | "final.json"): string {
  return join(import.meta.dir, "..", "fixture", "recordings", `${name}.${kind}${recordings[name]}`)
}

export async function readEvents(name: RecordingName): Promise<BusEvent[]> {
  return (await Array.fromAsync(readRecording(fixturePath(name, "jsonl")))).map((recorded) => recorded.event)
}

interface FinalSession {
  info: { id: string; share?: unknown }
  messages: { info: { id: string; role: string }; parts: { id: string }[] }[]
}

/** opencode's own final state, as a share of it looks: everything by key. `share` is left out: see map-event.ts. */
export async function readFinal(name: RecordingName): Promise<Record<string, Record<string, unknown>>> {
  const file = new Uint8Array(await Bun.file(fixturePath(name, "final.json")).arrayBuffer())
  const text = new TextDecoder().decode(recordings[name] === ".gz" ? gunzipSync(file) : file)
  const items = (session: FinalSession) => [
    ["session", withoutShare(session.info)],
    ...session.messages.flatMap((message) => [
      [`message ${message.info.id}`, message.info],
      ...message.parts.map((part) => [`part ${message.info.id} ${part.id}`, part]),
    ]),
  ]
  const sessions = JSON.parse(text) as FinalSession[]
  return Object.fromEntries(sessions.map((session) => [session.info.id, Object.fromEntries(items(session))]))
}

export function withoutShare(info: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([key]) => key !== "share"))
}

/** One stream: what the store keeps of the ops of a session, and what its share shows. */
export class ReferenceStream {
  readonly recorded: { op: MappedOp; text: string; dependsOn: number[] }[] = []
  readonly share = new Map<string, Record<string, unknown>>()
  readonly captured = new Set<string>()
  readonly #first = new Map<string, number>()
  readonly #last = new Map<string, string>()
  unchanged = 0
  repeated = 0
  closed = false

  record(op: MappedOp): void {
    if (this.closed) return
    if (this.captured.has(op.captureId)) return void this.repeated++
    this.captured.add(op.captureId)
    const text = JSON.stringify([op.method, op.args])
    if (op.onlyIfChanged && this.#last.get(op.key) === text) return void this.unchanged++
    const dependsOn = op.dependsOnKeys.flatMap((key) => this.#first.get(key) ?? [])
    const index = this.recorded.push({ op, text, dependsOn }) - 1
    if (!this.#first.has(op.key)) this.#first.set(op.key, index)
    this.#last.set(op.key, text)
    const ended = op.endsKeys
    if (ended !== undefined)
      for (const key of this.#first.keys())
        if (key.startsWith(ended)) {
          this.#first.delete(key)
          this.#last.delete(key)
        }
    this.#apply(op.method, JSON.parse(text)[1][0])
  }

  /** By method and args alone, as the service sees them. */
  #apply(method: string, args: Record<string, unknown>): void {
    if (method === "session.put") this.share.set("session", args)
    if (method === "session_diff.put") this.share.set("session_diff", args)
    if (method === "message.put") this.share.set(`message ${args.id}`, args)
    if (method === "turn.put") this.share.set(`turn ${args.message_id}`, args)
    if (method === "part.put") this.share.set(`part ${args.messageID} ${args.id}`, args)
    if (method === "part.remove") this.share.delete(`part ${args.message_id} ${args.id}`)
    if (method !== "message.remove") return
    for (const name of [`message ${args.id}`, `turn ${args.id}`]) this.share.delete(name)
    for (const name of this.share.keys()) if (name.startsWith(`part ${args.id} `)) this.share.delete(name)
  }
}

export class ReferenceOutbox {
  readonly streams = new Map<string, ReferenceStream>()

  feed(mapped: Mapped, isStale: (session_id: string, op: MappedOp) => boolean = () => false): void {
    if (mapped.kind === "ignored") return
    const stream = this.streams.get(mapped.session_id) ?? new ReferenceStream()
    this.streams.set(mapped.session_id, stream)
    if (mapped.kind === "removed") {
      stream.closed = true
      stream.share.clear()
      return
    }
    for (const op of mapped.ops)
      if (isStale(mapped.session_id, op)) stream.captured.add(op.captureId)
      else stream.record(op)
  }

  feedAll(events: BusEvent[]): this {
    for (const event of events) this.feed(mapEvent(event))
    return this
  }

  /** What the shares show, by session. */
  state(): Record<string, Record<string, unknown>> {
    const open = [...this.streams].filter(([, stream]) => !stream.closed)
    return Object.fromEntries(open.map(([session_id, stream]) => [session_id, Object.fromEntries(stream.share)]))
  }

  count(counter: (stream: ReferenceStream) => number): number {
    return [...this.streams.values()].reduce((sum, stream) => sum + counter(stream), 0)
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
