/** How the dead letters of one stream hang together: pure, from their ids, dependencies and decisions. */
export type Decision = "retried" | "discarded"

/** A dead letter without its payload. */
export interface DeadNode {
  seq: number
  op_id: string
  depends_on: readonly string[]
  decision: Decision | undefined
  retried_op_id: string | undefined
}

/** The dead letters of one stream. A dependency is read through retries: on the op that stands for it by now. */
export class DeadGraph {
  readonly #nodes: ReadonlyMap<string, DeadNode>

  /** In the order of the stream. */
  constructor(nodes: readonly DeadNode[]) {
    this.#nodes = new Map(nodes.map((node) => [node.op_id, node]))
  }

  find(op_id: string): DeadNode | undefined {
    return this.#nodes.get(op_id)
  }

  /** The op itself, or the last one that was recorded for it. */
  latest(op_id: string): string {
    for (let at = op_id; ;) {
      const next = this.#nodes.get(at)?.retried_op_id
      if (next === undefined) return at
      at = next
    }
  }

  /** Dead letters that nobody has recorded again and on which this one depends: as long as they are, it is rejected. */
  deadDependencies(node: DeadNode): DeadNode[] {
    return this.#latestOf(node).flatMap((op_id) => this.#nodes.get(op_id) ?? [])
  }

  /**
   * The dead letter and all that can be recorded again with it, each after what it depends on. One that depends on yet
   * another dead letter waits for that one's retry: before it, it could only be rejected again.
   */
  retriedWith(root: DeadNode): DeadNode[] {
    return this.#grow(root, (on, chosen) => on.every((op_id) => chosen.has(op_id) || !this.#nodes.has(op_id)))
  }

  /** The dead letter and all that depend on it: without it, they can only be rejected again. */
  discardedWith(root: DeadNode): DeadNode[] {
    return this.#grow(root, () => true)
  }

  /** Decided dead letters through which an undecided one finds what stands for its dependencies. */
  get links(): Set<string> {
    const links = new Set<string>()
    for (const node of this.#nodes.values()) {
      if (node.decision) continue
      for (const op_id of node.depends_on)
        for (let link = this.#nodes.get(op_id); link?.decision; link = this.#nodes.get(link.retried_op_id ?? ""))
          links.add(link.op_id)
    }
    return links
  }

  #latestOf(node: DeadNode): string[] {
    return node.depends_on.map((op_id) => this.latest(op_id))
  }

  /** Undecided ones are added in the order of the stream; again, as long as one is found: a dependency may be younger. */
  #grow(root: DeadNode, may: (on: readonly string[], chosen: ReadonlySet<string>) => boolean): DeadNode[] {
    const grown = [root]
    const chosen = new Set([root.op_id])
    const rest = new Map(
      [...this.#nodes.values()].filter((node) => !node.decision && node !== root).map(this.#withLatest),
    )
    for (let before = 0; before < grown.length;) {
      before = grown.length
      for (const [node, on] of rest) {
        if (!on.some((op_id) => chosen.has(op_id)) || !may(on, chosen)) continue
        grown.push(node)
        chosen.add(node.op_id)
        rest.delete(node)
      }
    }
    return grown
  }

  readonly #withLatest = (node: DeadNode): [DeadNode, string[]] => [node, this.#latestOf(node)]
}
