/**
 * What the debug CLI is shown and tested with: outboxes as people meet them, made for real, each in a directory that is
 * given (a home directory: the outbox lies at opencode's default place below it). Each file says who is alive beside it.
 */
import { dead } from "./dead.ts"
import { idle } from "./idle.ts"
import { offline } from "./offline.ts"
import { revoked } from "./revoked.ts"
import { two } from "./two.ts"
import { twins } from "./twins.ts"
import type { Situation } from "./world.ts"

export type { Situation } from "./world.ts"

export type SituationName = "idle" | "offline" | "revoked" | "dead" | "two" | "twins"

export const situations: Record<SituationName, (home: string) => Promise<Situation>> = {
  idle,
  offline,
  revoked,
  dead,
  two,
  twins,
}
