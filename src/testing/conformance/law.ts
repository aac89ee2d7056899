/** What a check appeals to. The numbers are those of "Deciding a batch" in ARCHITECTURE.md; the first rule that fits holds. */
export const law = {
  rule1:
    "rule 1: the capability or the share is not valid now → its refusal; then: the batch is not well-formed → malformed, over the limits → too_large",
  rule2: "rule 2: settled_op_id is not null and unknown → server_reset with the register, and nothing is decided",
  rule3:
    "rule 3: (expected_cursor, expected_head_op_id) is the register → decided op by op; the register moves by all ops, whatever their outcomes",
  rule4: "rule 4: every op_id is known → the stored outcomes, and nothing changes",
  rule5: "rule 5: none of the rules before fits → gap with the register, and nothing is decided",
  ack: "an Ack names the batch, holds each op of it in exactly one list and nothing else, and carries the register, the epoch of the grant, and code and message of each rejection",
  log: "an op_id and its outcome are known for the life of the share: at most one effect",
  content: "a known op_id with another content is rejected conflicting_op, and its stored outcome does not change",
  supersedes: "op_ids in supersedes that were unknown are known as superseded from then on, and never applied",
  depends:
    "depends_on: unknown → dependency_missing, rejected → dependency_rejected, applied or superseded → done; a poison op stops no other",
  results: "want_result sends the stored result back, now and in every later answer",
  references: 'a reference ["$ref", op_id, path] is replaced by what it names, before the method runs',
  atomic: "effects, outcomes, results and register of a batch commit in one transaction, or none of them does",
  order: "the calls of one POST run in order, each committed before the next one starts",
  create:
    "createShare answers id, url and secret; the same again gives the same answer; taken with anything else → share_exists; removed → share_removed, for ever",
  redeem: "redeemShare reads only, and grants what the contract says",
  alike: "a bad secret and an unknown share are answered alike: share_unknown",
  removed: "a removed share leaves a tombstone that knows every secret of it: share_removed to a right one, for ever",
  epoch:
    "a grant is bound to the epoch at which it was redeemed: later → stale_epoch, and the same batch goes on after",
  scopes: "a capability reaches as far as its scopes, and an attenuated one never further",
  revoked: "a revoked or replaced capability answers revoked, an expired one expired",
  limits: "limits are never below 100 ops, 1 MiB per batch and 256 KiB per op, and what is within them is taken",
  read: "readShare gives the applied ops after a position, in the order in which they were applied, as they were sent but for references, which are replaced",
  secret: "a secret is in no error, no refusal and no Ack",
  kept: "what was acknowledged is there after a restart, under the same service_id",
  deadline: "every POST is answered within deadline_ms of the subject",
  errors: "every method but appendOps throws its refusals, with the own property code; appendOps returns them",
} as const

export type Law = keyof typeof law
