/**
 * Short notation for what is sent and answered: ops are letters in order of appearance, writers w1, shares s1. A batch is
 * `w1 for (2, b) settled b: c=put d=put<c/a`: made for that register, with the ops c and d; `<` names what an op depends
 * on, `/` what it supersedes.
 */
import type { AppendBatch, WireOp } from "../../wire/contract.ts"
import type { Answer } from "./peer.ts"

export class Notation {
  readonly #names = new Map<string, string>()
  readonly #counts: Record<string, number> = {}

  /** a, b, … z, a2, b2, … */
  op(op_id: string | null | undefined): string {
    if (op_id == null) return "-"
    const known = this.#names.get(op_id)
    if (known) return known
    const count = (this.#counts.op = (this.#counts.op ?? -1) + 1)
    const round = Math.floor(count / 26)
    return this.#keep(op_id, String.fromCharCode(97 + (count % 26)) + (round ? round + 1 : ""))
  }

  /** A writer, share or secret, by a letter of its kind and a number. */
  id(kind: "w" | "s" | "secret ", id: string): string {
    const known = this.#names.get(id)
    if (known) return known
    const count = (this.#counts[kind] = (this.#counts[kind] ?? 0) + 1)
    return this.#keep(id, `${kind}${count}`)
  }

  register(cursor: number | undefined, head: string | null | undefined): string {
    return `(${cursor ?? "none"}, ${this.op(head)})`
  }

  /** Anything may be sent as a batch. */
  batch(input: unknown): string {
    if (!isBatch(input)) return cut(JSON.stringify(input) ?? "undefined")
    const { writer_id, expected_cursor, expected_head_op_id, settled_op_id, ops } = input
    const listed = ops.length > 12 ? [...ops.slice(0, 3), `… ${ops.length - 6} more …`, ...ops.slice(-3)] : ops
    const text = listed.map((op) => (typeof op === "string" ? op : this.#wireOp(op))).join(" ")
    const settled = settled_op_id === null ? "" : ` settled ${this.op(settled_op_id)}`
    const made = this.register(expected_cursor, expected_head_op_id)
    return `${this.id("w", String(writer_id))} for ${made}${settled}: ${text || "no op"}`
  }

  answer(answer: Answer): string {
    if (answer.kind === "fault") return `no answer: ${answer.message}`
    if (answer.kind === "error")
      return `error ${answer.code ?? "without a code"}: ${cut(this.withoutSecrets(answer.message))}`
    const { value } = answer
    if (typeof value !== "object" || value === null) return cut(JSON.stringify(value) ?? "undefined")
    const said = value as Record<string, unknown>
    if (typeof said.refused === "string") {
      const register = said.cursor === undefined ? "" : ` with register ${this.#registerOf(said)}`
      const epoch = said.epoch === undefined ? "" : `, epoch ${said.epoch}`
      return `refused ${said.refused}${register}${epoch}`
    }
    if (Array.isArray(said.applied)) return this.#ack(said)
    return cut(this.json(value))
  }

  /** With what has a name by its name, and no secret: it may end in a public log. */
  json(value: unknown): string {
    const named = (name: string, part: unknown) => {
      if (typeof part !== "string") return part
      return name === "secret" ? this.id("secret ", part) : (this.#names.get(part) ?? part)
    }
    return JSON.stringify(value, named) ?? "undefined"
  }

  /** A service that is wrong may repeat what it was sent. */
  withoutSecrets(text: string): string {
    const secrets = [...this.#names].filter(([, name]) => name.startsWith("secret "))
    return secrets.reduce((text, [secret, name]) => text.replaceAll(secret, name), text)
  }

  #ack(said: Record<string, unknown>): string {
    const list = (name: string) => (Array.isArray(said[name]) ? (said[name] as unknown[]) : [])
    const named = (name: string) => {
      const ids = list(name).map((id) => this.op(String(id)))
      return ids.length ? `, ${name} ${ids.join(" ")}` : ""
    }
    const rejected = (list("rejected") as { op_id?: string; code?: string }[]).map(
      (one) => `, rejected ${this.op(String(one?.op_id))} ${one?.code}`,
    )
    const results =
      said.results === undefined ? "" : `, results ${JSON.stringify(Object.values(said.results as object))}`
    return cut(`Ack ${this.#registerOf(said)}${named("applied")}${named("duplicates")}${rejected.join("")}${results}`)
  }

  #registerOf(said: Record<string, unknown>): string {
    return this.register(said.cursor as number, said.head_op_id as string | null)
  }

  #wireOp(op: Partial<WireOp> | null): string {
    if (typeof op?.op_id !== "string") return cut(JSON.stringify(op) ?? "undefined")
    const ids = (mark: string, list: unknown) =>
      Array.isArray(list) && list.length > 3
        ? `${mark}${list.length} ops`
        : Array.isArray(list)
          ? list.map((id) => mark + this.op(String(id))).join("")
          : ""
    return `${this.op(op.op_id)}=${op.method}${ids("<", op.depends_on)}${ids("/", op.supersedes)}`
  }

  #keep(id: string, name: string): string {
    this.#names.set(id, name)
    return name
  }
}

function isBatch(input: unknown): input is AppendBatch {
  return typeof input === "object" && input !== null && "ops" in input && Array.isArray(input.ops)
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
