/** One check's way through a service: its shares, writers and ops, what it sent, and what it demands of the answers. */
import { encodeArgs } from "../../intent/codec.ts"
import { systemClock, systemRandom } from "../../intent/system.ts"
import { randomId, ulidFactory } from "../../intent/ulid.ts"
import type { AppendBatch, SharedOp, SharePage, WireOp } from "../../wire/contract.ts"
import { ConformanceError } from "./check.ts"
import { type Demanded, ackProblem, errorProblem, refusalProblem, type Registered } from "./demand.ts"
import { type Law, law } from "./law.ts"
import { fieldRepeating } from "./repeated.ts"
import { Notation } from "./notation.ts"
import type { Bound, MethodCall, OptionalMethod, ShareRef } from "./service-subject.ts"
import { type Sent, TrialPost } from "./trial-post.ts"

/** One stream of one outbox, as the service sees it: it follows the register by the Acks. */
export interface Writer extends Registered {
  ref: ShareRef
  writer_id: string
  settled: string | null
}

export class Trial {
  readonly notation = new Notation()
  readonly service: Bound
  readonly #nextId = ulidFactory(systemClock, systemRandom)
  readonly #posts: Pick<TrialPost, "calls">[] = []
  /** Ops made to be rejected. */
  readonly #poison = new Set<string>()

  constructor(service: Bound) {
    this.service = service
  }

  nextId(): string {
    return this.#nextId()
  }

  randomId(bits = 256): string {
    return randomId(systemRandom, bits)
  }

  newRef(): ShareRef {
    return { share_id: this.randomId(128), secret: this.randomId() }
  }

  /** An op that the service applies. */
  op(more: Partial<WireOp> = {}): WireOp {
    return this.call(this.service.methods.applied, more)
  }

  /** An op that the service rejects. */
  poison(more: Partial<WireOp> = {}): WireOp {
    const op = this.call(this.service.methods.rejected, more)
    this.#poison.add(op.op_id)
    return op
  }

  call({ method, args = [] }: MethodCall, more: Partial<WireOp> = {}): WireOp {
    return {
      op_id: this.nextId(),
      method,
      codec: "capnweb",
      args: encodeArgs(args).text,
      depends_on: [],
      schema_version: 1,
      time_created: systemClock.now(),
      ...more,
    }
  }

  post(): TrialPost {
    const post = new TrialPost(this.service, this.notation, (message) => this.fail("deadline", message))
    this.#posts.push(post)
    return post
  }

  /** A POST that went another way: told with the others when the check fails. */
  posted(calls: Sent[]): void {
    this.#posts.push({ calls })
  }

  /** A share that is there. */
  async share(): Promise<ShareRef> {
    if (this.service.share) return this.service.share()
    const ref = this.newRef()
    const post = this.post()
    const sent = post.create({ ...ref, session_id: "conformance" })
    await post.send()
    this.value("create", sent, { id: ref.share_id, secret: ref.secret })
    return ref
  }

  async writer(ref?: ShareRef): Promise<Writer> {
    const at = ref ?? (await this.share())
    return { ref: at, writer_id: this.randomId(128), cursor: 0, head: null, settled: null }
  }

  batch(writer: Writer, ops: WireOp[], more: Partial<AppendBatch> = {}): AppendBatch {
    return {
      writer_id: writer.writer_id,
      batch_id: this.nextId(),
      expected_cursor: writer.cursor,
      expected_head_op_id: writer.head,
      settled_op_id: writer.settled,
      ops,
      ...more,
    }
  }

  /** redeemShare and appendOps in one POST; `what` is told with what was sent. */
  async append(writer: Writer, batch: AppendBatch, what?: string): Promise<Sent> {
    const post = this.post()
    const sent = post.redeem({ ...writer.ref, writer_id: writer.writer_id }).append(batch, what)
    await post.send()
    return sent
  }

  send(writer: Writer, ops: WireOp[], more: Partial<AppendBatch> = {}, what?: string): Promise<Sent> {
    return this.append(writer, this.batch(writer, ops, more), what)
  }

  /** New ops that the service must decide as they were made; the writer goes on from there. Returns the codes of what was rejected. */
  async decide(writer: Writer, ...ops: WireOp[]): Promise<Record<string, string>> {
    const sent = await this.send(writer, ops)
    const poison = ops.filter((op) => this.#poison.has(op.op_id))
    const register = { cursor: writer.cursor + ops.length, head: ops.at(-1)!.op_id }
    const rejected = poison.map((op): [WireOp, undefined] => [op, undefined])
    this.ack("rule3", sent, { applied: ops.filter((op) => !poison.includes(op)), rejected, ...register })
    this.settle(writer, register)
    const { value } = sent.answer as { value: { rejected: { op_id: string; code: string }[] } }
    return Object.fromEntries(value.rejected.map(({ op_id, code }) => [op_id, code]))
  }

  /** What a client remembers of an Ack. */
  settle(writer: Writer, { cursor, head }: Registered): void {
    Object.assign(writer, { cursor, head, settled: head })
  }

  ack(by: Law, sent: Sent, demanded: Demanded): void {
    this.#demand(by, sent, ackProblem(sent, demanded, this.notation))
  }

  /** The register where the refusal must carry one. */
  refused(by: Law, sent: Sent, code: string, register?: Registered): void {
    this.#demand(by, sent, refusalProblem(sent, code, register, this.notation))
  }

  /** An error that was thrown, with this code. */
  error(by: Law, sent: Sent, code: string): void {
    this.#demand(by, sent, errorProblem(sent, code))
  }

  /** An answer that holds at least this. */
  value(by: Law, sent: Sent, wanted: Record<string, unknown>): Record<string, unknown> {
    const { answer } = sent
    const value = answer.kind === "value" && typeof answer.value === "object" ? answer.value : null
    const got = value as Record<string, unknown> | null
    const wrong = Object.keys(wanted).filter((name) => JSON.stringify(got?.[name]) !== JSON.stringify(wanted[name]))
    const due = `should be an answer with ${this.notation.json(wanted)}`
    this.#demand(by, sent, got && !wrong.length ? undefined : due)
    return got!
  }

  /** No answer of the POST holds one of these texts, each given with what it is. */
  repeatsNone(post: TrialPost, hidden: [what: string, text: string][]): void {
    for (const [what, text] of hidden) {
      for (const sent of post.calls) {
        const field = fieldRepeating(sent.answer, text)
        this.#demand("secret", sent, field && `should not repeat ${what}, as it does in ${field}`)
      }
      if (post.received.includes(text)) this.fail("secret", `the body of the last response repeats ${what}`)
    }
  }

  /** By name, as what was sent is shown. */
  secret(secret: string): [what: string, text: string] {
    return [this.notation.id("secret ", secret), secret]
  }

  lacks(method: OptionalMethod): boolean {
    return this.service.without.includes(method)
  }

  /** What a grant says now. */
  async facts({ ref, writer_id }: Writer): Promise<Record<string, unknown>> {
    const post = this.post()
    const { sent } = post.redeem({ ...ref, writer_id })
    await post.send()
    return this.value("redeem", sent, {})
  }

  async expectRegister(by: Law, { ref, writer_id }: Writer, { cursor, head }: Registered): Promise<void> {
    const post = this.post()
    const { sent } = post.redeem({ ...ref, writer_id })
    await post.send()
    this.value(by, sent, { cursor, head_op_id: head })
  }

  /** Each op took effect so often: in the service's own data, or as readShare tells. */
  async expectEffects(by: Law, ref: ShareRef, ...demanded: [op: WireOp, count: number][]): Promise<void> {
    const count = this.service.effects ?? (await this.#readEffects(ref))
    for (const [op, wanted] of demanded) {
      const found = await count(op.op_id)
      if (found !== wanted) this.fail(by, `op ${this.notation.op(op.op_id)} took effect ${found} times, not ${wanted}`)
    }
  }

  async #readEffects(ref: ShareRef): Promise<(op_id: string) => number> {
    const op_ids = (await this.read(ref)).map((op) => op.op_id)
    return (op_id) => op_ids.filter((applied) => applied === op_id).length
  }

  /** All applied ops of the share, page by page. */
  async read(ref: ShareRef, limit?: number): Promise<SharedOp[]> {
    const ops: SharedOp[] = []
    for (let after: number | null = 0; after !== null;) {
      const post = this.post()
      const sent = post
        .redeem({ ...ref, writer_id: this.randomId(128) })
        .call("readShare", { after, ...(limit !== undefined && { limit }) })
      await post.send()
      const page = this.value("read", sent, {}) as unknown as SharePage
      if (!Array.isArray(page.ops)) this.#demand("read", sent, "should hold a list of ops")
      ops.push(...page.ops)
      if (page.next !== null && page.next <= after) this.#demand("read", sent, `next should lie beyond ${after}`)
      after = page.next
    }
    return ops
  }

  /** @throws ConformanceError always: what was demanded, and every POST of this check until now */
  fail(by: Law, problem: string): never {
    const posts = this.#posts.map((post, index) => {
      const calls = post.calls.map(({ text, answer }) => `    ${text}\n      → ${this.notation.answer(answer)}`)
      return `  POST ${index + 1}\n${calls.join("\n")}`
    })
    const kept = posts.length > 6 ? [posts[0]!, `  … ${posts.length - 5} more …`, ...posts.slice(-4)] : posts
    const told = [...this.#silence(), law[by], `  ${problem}`, ...kept].join("\n")
    throw new ConformanceError(this.notation.withoutSecrets(told))
  }

  /** What is wrong is then not what the check is about. */
  #silence(): string[] {
    const answers = this.#posts.flatMap(({ calls }) => calls.map(({ answer }) => answer))
    const fault = answers.findLast((answer) => answer.kind === "fault")
    if (!fault || answers.some((answer) => answer.kind !== "fault")) return []
    const { origin, pathname } = new URL(this.service.place.service)
    const what = this.service.protocol === "rpc" ? "a Cap'n Web" : "an HTTP/JSON"
    return [`nobody answered as ${what} service at ${origin}${pathname}: ${fault.message}`]
  }

  #demand(by: Law, sent: Sent, problem: string | undefined): void {
    if (problem === undefined) return
    const got = this.notation.answer(sent.answer)
    this.fail(by, `sent      ${sent.text}\n  answered  ${got}\n  but       it ${problem}`)
  }
}
