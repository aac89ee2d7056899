/** Refs, and names as a host passes them: checked at the door, and a secret is never repeated in an error. */
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Random } from "./intent/seam.ts"
import { isId, randomId } from "./intent/ulid.ts"
import type { SturdyRef } from "./store/stream.ts"
import type { Unblocking } from "./store/unblock.ts"

/** A ref for a share that is not there yet: nobody else can know its id or its secret. */
export function newRef(service: string, random: Random): SturdyRef {
  return { service, share_id: randomId(random, 128), secret: randomId(random, 256) }
}

/** @throws SturdyError `invalid_argument` */
export function checkRef(name: string, ref: SturdyRef, create: { session_id: string } | undefined): void {
  checkName(name)
  const wrong = (what: string) =>
    new SturdyError("invalid_argument", `stream ${name}: ${what}`, "A ref is { service, share_id, secret }.")
  if (typeof ref !== "object" || ref === null) throw wrong("the ref is no object")
  const unfit = serviceProblem(ref.service)
  if (unfit) throw wrong(unfit)
  if (!isId(ref.share_id)) throw wrong("share_id must match [A-Za-z0-9_-]{16,128}")
  if (!isId(ref.secret)) throw wrong("secret must match [A-Za-z0-9_-]{16,128}")
  const problem = create && nameProblem(create.session_id)
  if (problem) throw wrong(`create.session_id ${problem}`)
}

/** @throws SturdyError `invalid_argument` */
export function checkUnblocking(name: string, { secret, service, acceptServer }: Unblocking): void {
  const wrong = (what: string) =>
    new SturdyError("invalid_argument", `unblock stream ${name}: ${what}`, "See Unblocking; nothing was changed.")
  if (secret !== undefined && !isId(secret)) throw wrong("secret must match [A-Za-z0-9_-]{16,128}")
  const unfit = service === undefined ? undefined : serviceProblem(service)
  if (unfit) throw wrong(unfit)
  if (acceptServer !== undefined && typeof acceptServer !== "boolean") throw wrong("acceptServer must be a boolean")
}

function serviceProblem(service: unknown): string | undefined {
  const url = typeof service === "string" && URL.canParse(service) ? new URL(service) : undefined
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return "service must be an http(s) URL"
  return url.username || url.password ? "service must not carry a password: use headers" : undefined
}

/** @throws SturdyError `invalid_argument` */
export function checkName(name: string): void {
  const problem = nameProblem(name)
  if (problem) throw new SturdyError("invalid_argument", `the stream's name ${problem}`, "Name it after what it syncs.")
}

/** Why a text cannot be a name, key or id of the host's; undefined if it can. */
export function nameProblem(text: unknown): string | undefined {
  if (typeof text !== "string" || text === "") return "must be a text that is not empty"
  // SQLite would store U+FFFD for each, and two names become one.
  if (!text.isWellFormed()) return "holds half a surrogate pair"
  const bytes = Buffer.byteLength(text)
  return bytes > limit.name_bytes_max ? `has ${bytes} bytes, at most ${limit.name_bytes_max} are taken` : undefined
}
