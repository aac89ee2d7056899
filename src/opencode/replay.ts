/**
 * Feeds a recorded bus stream through the adapter as fast as it can. Run again on the same outbox it goes on where it
 * stopped, without doubling: a bookmark per recording, and the event ids where the bookmark does not fit.
 */
import { statSync } from "node:fs"
import { SturdyError } from "../intent/error.ts"
import { systemClock } from "../intent/system.ts"
import type { Bookmark, Outbox } from "../index.ts"
import { CapturedPlaces } from "./captured-places.ts"
import { mapEvent } from "./map-event.ts"
import { atLine, readRecording, recordingSource, type RecordedEvent } from "./recording.ts"
import { EverySession } from "./every-session.ts"

export interface ReplayProgress {
  /** Events of the recording. */
  events: number
  /** Events fed until now. */
  fed: number
}

export interface Replayed {
  events: number
  /** Streams of the recording's sessions, in order of appearance. */
  sessions: string[]
}

/** Events fed between two turns of the event loop: the flusher works meanwhile. */
const turn_events = 64

/**
 * @throws SturdyError `recording_malformed`, with the line, before anything is recorded; `stream_conflict`; as `record`.
 */
export async function feedRecording(
  path: string,
  outbox: Outbox,
  service: string,
  onProgress: (progress: ReplayProgress) => void = () => {},
): Promise<Replayed> {
  refusePipe(path)
  const shares = new EverySession(outbox, service)
  const survey = await surveyOf(path, shares)
  const bookmark = survey.source === undefined ? undefined : outbox.bookmark(survey.source)
  const from = bookmark && survey.markAt(bookmark.place) === bookmark.mark ? bookmark.place : 0
  let fed = 0
  for await (const { line, place, event } of readRecording(path)) {
    fed += 1
    if (fed % turn_events === 0) {
      onProgress({ events: survey.events, fed })
      await new Promise<void>((resolve) => systemClock.timer(0, resolve, true))
    }
    if (place <= from) continue
    const mapped = atLine(line, () => mapEvent(event))
    if (mapped.kind === "ignored") continue
    const mark: Bookmark = { source: survey.source!, place, mark: event.id }
    atLine(line, () => shares.capture(mapped, mark, (op) => survey.captured.isStale(mapped.session_id, op, place)))
  }
  onProgress({ events: survey.events, fed })
  return { events: survey.events, sessions: [...survey.sessions] }
}

interface Survey {
  events: number
  source: string | undefined
  sessions: Set<string>
  captured: CapturedPlaces
  /** Id of the event at that place. */
  markAt(place: number): string | undefined
}

/** One pass that records nothing: every line is read, so that a broken one is found before anything is written. */
async function surveyOf(path: string, shares: EverySession): Promise<Survey> {
  const captured = new CapturedPlaces((session_id, captureId) => shares.isCaptured(session_id, captureId))
  const marks = new Map<number, string>()
  const sessions = new Set<string>()
  let source: string | undefined
  let wanted: number | undefined
  let events = 0
  for await (const recorded of readRecording(path)) {
    const { place, event } = recorded
    events = place
    if (source === undefined) {
      source = recordingSource(event)
      wanted = shares.outbox.bookmark(source)?.place
    }
    if (place === wanted) marks.set(place, event.id)
    const mapped = mapRecorded(recorded)
    if (mapped.kind === "ops") sessions.add(mapped.session_id)
    captured.see(mapped, place)
  }
  return { events, source, sessions, captured, markAt: (place) => marks.get(place) }
}

function mapRecorded({ line, event }: RecordedEvent) {
  return atLine(line, () => mapEvent(event))
}

/** A recording is read twice, first to find every broken line: what can be read only once would be lost in between. */
function refusePipe(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (!stats || stats.isFile()) return
  throw new SturdyError(
    "recording_malformed",
    `${path} is ${stats.isDirectory() ? "a directory" : "a pipe or device"}, not a file`,
    "Write the recording to a file first: it is read twice.",
  )
}
