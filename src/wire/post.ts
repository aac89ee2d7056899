/**
 * One POST to a share service: the calls of one attempt, createShare → redeemShare → appendOps … or removeShare, and what
 * came back for each. The same in every protocol, in however many exchanges that sends it.
 */
import type { Ack, AppendBatch, CreateShareInput, GrantFacts, RedeemInput, Refusal, SyncInfo } from "./contract.ts"
import type { TransportFault } from "./transport.ts"

export interface Post {
  service: string
  headers: Record<string, string>
  create: CreateShareInput | undefined
  redeem: RedeemInput
  batches: AppendBatch[]
  remove: boolean
  /** Name of the protocol in which the service has answered before. */
  protocol?: string | undefined
  /** The share's id and secret where the service made them. */
  remote?: { id: string; secret: string } | undefined
  /** The first of its stream: no call of it can have been decided before. */
  first?: boolean
}

/** What came back for one call: a value, the server's coded refusal, an uncoded error of the server's, or nothing. */
export type Answer<T> =
  | { kind: "value"; value: T }
  /** `service_id`: whose word it is; a service of an older Sturdy does not say. */
  | { kind: "refused"; code: string; message: string; service_id?: string; retry_after_ms?: number }
  | { kind: "failed"; message: string }
  | { kind: "fault"; fault: TransportFault }

export interface PostAnswer {
  created: Answer<SyncInfo> | undefined
  grant: Answer<GrantFacts>
  appended: Answer<Ack | Refusal>[]
  removed: Answer<{ removed: true }> | undefined
  /** Each call had an exchange of its own: what one of them failed at says nothing of the others. */
  apart?: true
  /** Name of the protocol, if the service itself answered. */
  spoken?: string
}

/** The answer to every call of a POST that brought none. */
export function unanswered(post: Post, fault: TransportFault): PostAnswer {
  const none = { kind: "fault", fault } as const
  return {
    created: post.create && none,
    grant: none,
    appended: post.batches.map(() => none),
    removed: post.remove ? none : undefined,
  }
}

/** The grant without its live part, which dies with its session. */
export function factsOf(grant: GrantFacts & Partial<Disposable>): GrantFacts {
  const { share_id, service_id, epoch, scopes, cursor, head_op_id, limits } = grant
  return { share_id, service_id, epoch, scopes: [...scopes], cursor, head_op_id, limits: { ...limits } }
}

/** Shorter is no key, and may be a word of any text. */
const key_letters_min = 8

/** What a peer says may repeat what it was sent: the share's secrets, and a key of a gateway's in the host's headers. */
export function withoutSecrets(text: string, { redeem, remote, next_secret, headers }: Told): string {
  const keys = Object.values(headers ?? {}).flatMap((value) => [value, ...value.split(/\s+/)])
  const longestFirst = keys.filter((key) => key.length >= key_letters_min).toSorted((a, b) => b.length - a.length)
  const all = [redeem.secret, remote?.secret, next_secret, ...longestFirst].filter((secret) => secret !== undefined)
  return all.reduce((shown, secret) => shown.replaceAll(secret, "[secret]"), text)
}

/** What a peer was told that nobody else is. */
export interface Told extends Partial<Pick<Post, "headers" | "remote">> {
  redeem: Pick<RedeemInput, "secret">
  /** Of a rotation. */
  next_secret?: string
}
