/**
 * What it is compared with: a queue in memory as opencode's built-in share client has it. Newest state per key; a fixed
 * window after the first entry the queue is emptied, and then sent in one POST, once; a failure is forgotten. ENDPOINT
 * WINDOW_MS. Like that one it sends no removals.
 */
import { newHttpBatchRpcSession } from "capnweb"
import { ulid } from "ulid"
import type { ShareService, WireOp } from "../../src/index.ts"
import { mapEvent, type MappedOp } from "../../src/opencode/index.ts"
import { jsonLines, sayToHost, type ToClient } from "./pipe.ts"

const [endpoint, window_ms] = process.argv.slice(2)
const types = new Set(["session.updated", "message.updated", "message.part.updated", "session.diff"])
const queues = new Map<string, Map<string, MappedOp>>()
const posts = new Set<Promise<void>>()
let shares: Record<string, { share_id: string; secret: string }> = {}

for await (const messages of jsonLines<ToClient>(Bun.stdin.stream())) {
  for (const message of messages) {
    if ("shares" in message) shares = message.shares
    if ("place" in message && types.has(message.event.type)) enqueue(message.event)
  }
  const last = messages.findLast((message) => "place" in message)
  if (last) sayToHost({ acked: last.place, pending: 0 })
  if (messages.some((message) => "finish" in message)) await finish()
}

function enqueue(event: Parameters<typeof mapEvent>[0]): void {
  const mapped = mapEvent(event)
  if (mapped.kind !== "ops") return
  const { session_id } = mapped
  const queue = queues.get(session_id) ?? new Map<string, MappedOp>()
  // The window opens with the first entry and is not moved by later ones.
  if (queue.size === 0) setTimeout(() => flush(session_id), Number(window_ms))
  queues.set(session_id, queue)
  for (const op of mapped.ops) if (op.method !== "turn.put") queue.set(op.key, op)
}

function flush(session_id: string): void {
  const queue = queues.get(session_id)
  queues.delete(session_id)
  if (!queue) return
  const post: Promise<void> = send(session_id, [...queue.values()])
    .catch(() => {})
    .finally(() => posts.delete(post))
  posts.add(post)
}

/** One POST. A writer of its own, because nothing is remembered of the one before. */
async function send(session_id: string, ops: MappedOp[]): Promise<void> {
  sayToHost({ sent: { attempt: 1, ops: ops.length } })
  const writer_id = crypto.randomUUID()
  const register = { expected_cursor: 0, expected_head_op_id: null, settled_op_id: null }
  using api = newHttpBatchRpcSession<ShareService>(endpoint!)
  const grant = api.redeemShare({ ...shares[session_id]!, writer_id })
  await grant.share.appendOps({ writer_id, batch_id: ulid(), ...register, ops: ops.map(wireOp) })
}

function wireOp({ method, args }: MappedOp): WireOp {
  const content = { method, codec: "json", args: JSON.stringify(args), depends_on: [] } as const
  return { op_id: ulid(), ...content, depends_on: [], schema_version: 1, time_created: Date.now() }
}

/** Kinder than the original, which sends nothing more when its process ends. */
async function finish(): Promise<void> {
  for (const session_id of queues.keys()) flush(session_id)
  await Promise.all(posts)
  sayToHost({ done: {} })
  process.exit()
}
