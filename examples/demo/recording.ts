/** The recording that is shipped with the project: what opencode sent on its bus, and what it had itself in the end. */
import { join } from "node:path"
import { gunzipSync } from "node:zlib"

const files = join(import.meta.dir, "..", "..", "test", "fixture", "recordings")
export const recordingName = "long-session-60"

export interface PlayedEvent {
  /** ms since the first event, as recorded. */
  at_ms: number
  event: { id: string; type: string; properties: Record<string, unknown> }
}

export interface FinalSession {
  info: { id: string; [field: string]: unknown }
  messages: { info: { id: string }; parts: { id: string }[] }[]
}

export async function readPlayed(): Promise<PlayedEvent[]> {
  const lines = (await textOf(`${recordingName}.jsonl.gz`)).split("\n").filter((line) => line !== "")
  const recorded = lines.map((line) => JSON.parse(line) as { t: number; event: PlayedEvent["event"] })
  return recorded.map(({ t, event }) => ({ at_ms: t - recorded[0]!.t, event }))
}

export async function readFinal(): Promise<FinalSession[]> {
  return JSON.parse(await textOf(`${recordingName}.final.json.gz`)) as FinalSession[]
}

async function textOf(name: string): Promise<string> {
  return new TextDecoder().decode(gunzipSync(await Bun.file(join(files, name)).arrayBuffer()))
}
