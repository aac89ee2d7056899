/** Refs, and names as a host passes them: checked at the door, and a secret is never repeated in an error. */
import { SturdyError } from "./intent/error.ts"
import * as limit from "./intent/limit.ts"
import type { Random } from "./intent/seam.ts"
import { shapeProblem } from "./intent/shape.ts"
import { isId, randomId } from "./intent/ulid.ts"
import type { Adopted, Origin, SturdyRef } from "./store/stream.ts"
import type { Unblocking } from "./store/unblock.ts"

/** Which stream a stub records to. */
export interface Stubbing {
  /** @default the share_id of the ref */
  name?: string
  /** This outbox creates the share too, in the first POST. */
  create?: { session_id: string }
}

/** What is stored with a stream when it is created; of one that exists nothing changes. */
export interface Opening extends Pick<Stubbing, "create"> {
  /** Somebody else created the share, where the service makes its id and secret. */
  adopt?: Adopted
  /** Name of the wire protocol to begin with, as long as nothing was heard of the service. */
  protocol?: string
}

/**
 * A ref for a share that is not there yet: nobody else can know its id or its secret.
 *
 * @throws SturdyError `invalid_argument`
 */
export function newRef(service: string, random: Random): SturdyRef {
  const unfit = serviceProblem(service)
  if (unfit)
    throw new SturdyError("invalid_argument", `newRef: ${unfit}`, 'For example "https://notes.example.com/rpc/share".')
  return { service, share_id: randomId(random, 128), secret: randomId(random, 256) }
}

/** @throws SturdyError `invalid_argument` */
export function checkRef(name: string, ref: SturdyRef, options: Opening): void {
  checkName(name)
  const wrong = (what: string) =>
    new SturdyError("invalid_argument", `stream ${name}: ${what}`, "A ref is { service, share_id, secret }.")
  if (typeof ref !== "object" || ref === null) throw wrong("the ref is no object")
  const unfit = serviceProblem(ref.service)
  if (unfit) throw wrong(unfit)
  if (!isId(ref.share_id)) throw wrong("share_id must match [A-Za-z0-9_-]{16,128}")
  if (!isId(ref.secret)) throw wrong("secret must match [A-Za-z0-9_-]{16,128}")
  const unknown = shapeProblem(options, ["create", "adopt", "protocol"])
  if (unknown) throw wrong(`the options: the object ${unknown}`)
  checkCreate(name, options.create)
  checkAdopt(name, options.adopt)
  const misnamed = options.protocol === undefined ? undefined : nameProblem(options.protocol)
  if (misnamed) throw wrong(`the options: protocol ${misnamed}`)
}

export function originOf({ create, adopt, protocol }: Opening): Origin {
  return { session_id: create?.session_id, adopted: adopt, protocol }
}

function checkCreate(name: string, create: Stubbing["create"]): void {
  const problem = create === undefined ? undefined : createProblem(create)
  if (problem)
    throw new SturdyError(
      "invalid_argument",
      `stream ${name}: create${problem}`,
      "It is { session_id: a name of the host's }.",
    )
}

function checkAdopt(name: string, adopt: Adopted | undefined): void {
  const problem = adopt === undefined ? undefined : adoptProblem(adopt)
  if (problem)
    throw new SturdyError(
      "invalid_argument",
      `stream ${name}: adopt${problem}`,
      "It is { protocol?, remote: { id, secret }, url }.",
    )
}

function adoptProblem(adopt: Adopted): string | undefined {
  const misshapen = shapeProblem(adopt, ["protocol", "remote", "url"])
  if (misshapen) return ` ${misshapen}`
  const { protocol, remote, url } = adopt
  const unfit = shapeProblem(remote, ["id", "secret"])
  if (unfit) return `.remote ${unfit}`
  const named = protocol !== undefined && { ".protocol": protocol }
  const texts = { ".remote.id": remote.id, ".remote.secret": remote.secret, ".url": url, ...named }
  const [field, text] = Object.entries(texts).find(([, value]) => nameProblem(value)) ?? []
  return field && `${field} ${nameProblem(text)}`
}

function createProblem(create: { session_id: string }): string | undefined {
  const misshapen = shapeProblem(create, ["session_id"])
  if (misshapen) return ` ${misshapen}`
  const problem = nameProblem(create.session_id)
  return problem && `.session_id ${problem}`
}

/** @throws SturdyError `invalid_argument` */
export function checkUnblocking(name: string, change: Unblocking): void {
  const wrong = (what: string) =>
    new SturdyError("invalid_argument", `unblock stream ${name}: ${what}`, "See Unblocking; nothing was changed.")
  const misshapen = shapeProblem(change, ["secret", "service", "acceptServer"])
  if (misshapen) throw wrong(`the change ${misshapen}`)
  const { secret, service, acceptServer } = change
  if (secret !== undefined && !isId(secret)) throw wrong("secret must match [A-Za-z0-9_-]{16,128}")
  const unfit = service === undefined ? undefined : serviceProblem(service)
  if (unfit) throw wrong(unfit)
  if (acceptServer !== undefined && typeof acceptServer !== "boolean") throw wrong("acceptServer must be a boolean")
}

/** @throws SturdyError `invalid_argument` */
export function checkStubbing(to: unknown, options: Stubbing): void {
  const wrong = (what: string) =>
    new SturdyError(
      "invalid_argument",
      `stub: ${what}; nothing was written`,
      "stub(ref, { name?, create? }), or stub(service, { name, create }).",
    )
  const misshapen = shapeProblem(options, ["name", "create"])
  if (misshapen) throw wrong(`the options: the object ${misshapen}`)
  if (typeof to === "object" && to !== null) return
  const unfit = serviceProblem(to)
  if (unfit) throw wrong(typeof to === "string" ? unfit : `its first argument is neither a ref nor a URL`)
  if (options.name === undefined) throw wrong("a service is given without a name, by which the stream is found again")
  checkName(options.name)
  checkCreate(options.name, options.create)
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
