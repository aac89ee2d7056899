/** What somebody with a server of his own says about it, so that it can be checked against the wire contract. */
import { kindOf, shapeProblem } from "../../intent/shape.ts"

/** Where the service under test answers. A check may be the only one that sees its place, or one of many. */
export interface ServicePlace {
  /**
   * URL of the Cap'n Web endpoint, e.g. `http://127.0.0.1:8080/rpc/share`. A `restart` may change it. Of plain HTTP/JSON: what
   * stands before `/api/share`; a final `/rpc/share` does not count.
   */
  service: string
  /** Answers in this process what would be sent to `service`; without it the requests go over HTTP. */
  fetch?: (request: Request) => Response | Promise<Response>
  /** Sent with every request, e.g. for a gateway. */
  headers?: Record<string, string>
  /** Called when the check is over, however it ended. */
  close?: () => unknown
}

export interface MethodCall {
  method: string
  /** Plain JSON values. @default none */
  args?: unknown[]
}

export interface ShareRef {
  share_id: string
  secret: string
}

/** Methods that a service may not have yet; what needs one of them is then skipped. */
export const optionalMethods = [
  "createShare",
  "readShare",
  "attenuate",
  "revokeCapability",
  "rotateSecret",
  "auditLog",
  "removeShare",
] as const

export type OptionalMethod = (typeof optionalMethods)[number]

/** Of the contract, what plain HTTP/JSON has no route for. */
export const withoutRoute: readonly OptionalMethod[] = [
  "readShare",
  "attenuate",
  "revokeCapability",
  "rotateSecret",
  "auditLog",
]

const protocols = ["rpc", "http"] as const

export type WireProtocol = (typeof protocols)[number]

export interface ServiceSubject<Place extends ServicePlace = ServicePlace> {
  /** A running service, for one check. It may be the same one each time: every check makes shares of its own. */
  make: () => Place | Promise<Place>
  methods: {
    /** One that is applied whenever it is called. */
    applied: MethodCall
    /** One that is rejected whenever it is called, with a code of the service's. */
    rejected: MethodCall
    /** Name of a method that returns its first argument: unlocks results and references. */
    echo?: string
    /** One whose handler fails unexpectedly, as by a bug: unlocks atomicity. */
    failing?: MethodCall
  }
  /**
   * `http`: plain HTTP/JSON, one request per call. What has no route there is skipped.
   *
   * @default "rpc", Cap'n Web over HTTP batch
   */
  protocol?: WireProtocol
  /** A fresh share, where clients may not call createShare. */
  share?: (place: Place) => ShareRef | Promise<ShareRef>
  /** How often the op took effect in the service's own data: 0 or 1, unless it is broken. @default counted by readShare */
  effects?: (place: Place, op_id: string) => number | Promise<number>
  /** Ends the service and starts it again on the data that it stored. */
  restart?: (place: Place) => unknown
  /** Copies what is stored; the function returned puts the copy back, as an operator would who lost the rest. */
  backUp?: (place: Place) => (() => unknown) | Promise<() => unknown>
  /** What the service does not have. @default nothing: all of the contract is checked */
  without?: readonly OptionalMethod[]
  /**
   * How long one POST may take, in ms, connecting included; then the check fails with what was sent, and sends no more.
   * A check of several POSTs may take longer in all, and the timeout of a test runner must be longer than this.
   *
   * @default 4,000, below the 5 s that test runners have by default
   */
  deadline_ms?: number
}

const default_deadline_ms = 4_000
/** Beyond it a timer of the runtime is due at once. */
const deadline_ms_max = 2 ** 31 - 1

/** A subject at one place. */
export interface Bound {
  place: ServicePlace
  methods: ServiceSubject["methods"]
  protocol: WireProtocol
  without: readonly OptionalMethod[]
  deadline_ms: number
  share?: () => ShareRef | Promise<ShareRef>
  effects?: (op_id: string) => number | Promise<number>
  restart?: () => unknown
  backUp?: () => (() => unknown) | Promise<() => unknown>
}

export function boundTo<Place extends ServicePlace>(subject: ServiceSubject<Place>, place: Place): Bound {
  const { methods, protocol = "rpc", without = [], share, effects, restart, backUp } = subject
  return {
    place,
    methods,
    protocol,
    without: protocol === "http" ? [...without, ...withoutRoute] : without,
    deadline_ms: subject.deadline_ms ?? default_deadline_ms,
    ...(share && { share: () => share(place) }),
    ...(effects && { effects: (op_id: string) => effects(place, op_id) }),
    ...(restart && { restart: () => restart(place) }),
    ...(backUp && { backUp: () => backUp(place) }),
  }
}

const fields = ["make", "methods", "protocol", "share", "effects", "restart", "backUp", "without", "deadline_ms"]
const hooks = ["share", "effects", "restart", "backUp"] as const

/** @throws TypeError which field is wrong, and how */
export function checkSubject<Place extends ServicePlace>(subject: ServiceSubject<Place>): void {
  const problem = shapeProblem(subject, fields)
  if (problem) throw new TypeError(`eachServiceCheck: the subject ${problem}`)
  if (typeof subject.make !== "function")
    throw new TypeError(`eachServiceCheck: make must be a function that returns a place, got ${kindOf(subject.make)}`)
  for (const hook of hooks)
    if (subject[hook] !== undefined && typeof subject[hook] !== "function")
      throw new TypeError(`eachServiceCheck: ${hook} must be a function, got ${kindOf(subject[hook])}`)
  const methods = shapeProblem(subject.methods, ["applied", "rejected", "echo", "failing"])
  if (methods) throw new TypeError(`eachServiceCheck: methods ${methods}`)
  checkCall("applied", subject.methods.applied)
  checkCall("rejected", subject.methods.rejected)
  if (subject.methods.failing !== undefined) checkCall("failing", subject.methods.failing)
  if (subject.methods.echo !== undefined && (typeof subject.methods.echo !== "string" || subject.methods.echo === ""))
    throw new TypeError("eachServiceCheck: methods.echo must be the name of a method")
  if (subject.protocol !== undefined && !protocols.includes(subject.protocol))
    throw new TypeError(`eachServiceCheck: protocol must be ${protocols.join(" or ")}, got ${String(subject.protocol)}`)
  checkWithout(subject)
  checkDeadline(subject.deadline_ms)
}

function checkDeadline(deadline_ms: unknown): void {
  if (deadline_ms === undefined) return
  if (
    typeof deadline_ms === "number" &&
    Number.isSafeInteger(deadline_ms) &&
    deadline_ms > 0 &&
    deadline_ms <= deadline_ms_max
  )
    return
  const got = typeof deadline_ms === "number" ? deadline_ms : kindOf(deadline_ms)
  throw new TypeError(`eachServiceCheck: deadline_ms must be an integer from 1 to ${deadline_ms_max}, got ${got}`)
}

function checkCall(name: string, call: MethodCall): void {
  const problem = shapeProblem(call, ["method", "args"])
  if (problem) throw new TypeError(`eachServiceCheck: methods.${name} ${problem}`)
  if (typeof call.method !== "string" || call.method === "")
    throw new TypeError(`eachServiceCheck: methods.${name}.method must be the name of a method`)
  if (call.args !== undefined && !Array.isArray(call.args))
    throw new TypeError(`eachServiceCheck: methods.${name}.args must be an array, got ${kindOf(call.args)}`)
}

function checkWithout<Place extends ServicePlace>({ without = [], share }: ServiceSubject<Place>): void {
  if (!Array.isArray(without)) throw new TypeError(`eachServiceCheck: without must be an array, got ${kindOf(without)}`)
  const unknown = without.find((name) => !optionalMethods.includes(name))
  if (unknown !== undefined)
    throw new TypeError(`eachServiceCheck: without may hold ${optionalMethods.join(", ")}, got ${String(unknown)}`)
  if (without.includes("createShare") && !share)
    throw new TypeError("eachServiceCheck: without createShare, share must say where a check gets its share from")
}

/** @throws TypeError if what `make` returned is no place */
export function checkPlace(place: ServicePlace): void {
  const known = typeof place === "object" && place !== null
  if (!known || typeof place.service !== "string" || !URL.canParse(place.service))
    throw new TypeError("eachServiceCheck: make must return { service }, the URL of the Cap'n Web endpoint")
  if (place.fetch !== undefined && typeof place.fetch !== "function")
    throw new TypeError(`eachServiceCheck: fetch must be a function, got ${kindOf(place.fetch)}`)
}
