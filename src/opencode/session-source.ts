/** What a catch-up asks of opencode: the sessions as they are. A plugin asks through a client, a linked host directly. */
import { isRecord } from "./event.ts"

export interface SessionMessage {
  info: Record<string, unknown>
  parts: Record<string, unknown>[]
}

/** A model that a session used. */
export interface ModelName {
  provider_id: string
  model_id: string
}

/** Every answer may be late, and none is changed by who gets it. What rejects is asked again later. */
export interface SessionSource {
  /** Its word alone is enough that a session is gone; else a request may have gone astray. */
  readonly isAuthority: boolean
  /** The session's info; undefined if there is no such session. */
  info(session_id: string): Promise<Record<string, unknown> | undefined>
  /** All messages of the session with their parts, oldest first. */
  messages(session_id: string): Promise<SessionMessage[]>
  /** The files that the session changed; undefined if nobody knows. */
  diff(session_id: string): Promise<unknown[] | undefined>
  /** Ids of the session's children. */
  children(session_id: string): Promise<string[]>
  /** What is known of a model; undefined if nothing is. */
  model(name: ModelName): Promise<Record<string, unknown> | undefined>
}

/** opencode did not answer, or not what is expected of it. */
export class SourceSilent extends Error {}

export function isMessage(value: unknown): value is SessionMessage {
  return isRecord(value) && isRecord(value.info) && Array.isArray(value.parts) && value.parts.every(isRecord)
}
