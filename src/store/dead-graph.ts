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

/** What the graph asks of the dead letters of one stream: no more of them is read than hangs together. */
export interface DeadLookup {
  letter(op_id: string): DeadNode | undefined
  /** Those that were recorded again as this op. */
  retriedAs(op_id: string): readonly string[]
  /** Undecided ones that depend on anything, in the order of the stream. */
  hanging(): readonly DeadNode[]
}

/** The dead letters of one stream. A dependency is read through retries: on the op that stands for it by now. */
export class DeadGraph {
  constructor(readonly lookup: DeadLookup) {}

  /** The op itself, or the last one that was recorded for it. */
  latest(op_id: string): string {
    for (let at = op_id; ;) {
      const next = this.lookup.letter(at)?.retried_op_id
      if (next === undefined) return at
      at = next
    }
  }

  /** Dead letters that nobody has recorded again and on which this one depends: as long as they are, it is rejected. */
  deadDependencies(node: DeadNode): DeadNode[] {
    return node.depends_on.flatMap((op_id) => this.lookup.letter(this.latest(op_id)) ?? [])
  }

  /**
   * The dead letter and all that can be recorded again with it, each after what it depends on. One that depends on yet
   * another dead letter waits for that one's retry: before it, it could only be rejected again.
   */
  retriedWith(root: DeadNode): DeadNode[] {
    return this.#grow(root, ({ depends_on }, chosen) =>
      depends_on.every((op_id) => chosen.has(op_id) || !this.lookup.letter(this.latest(op_id))),
    )
  }

  /** The dead letter and all that depend on it: without it, they can only be rejected again. */
  discardedWith(root: DeadNode): DeadNode[] {
    return this.#grow(root, () => true)
  }

  /** Of these decided dead letters, those through which no undecided one finds what stands for its dependencies. */
  withoutLinks(decided: readonly string[]): string[] {
    if (decided.length === 0) return []
    const needed = new Set(this.lookup.hanging().flatMap(({ depends_on }) => depends_on))
    return decided.filter((op_id) => !this.#namesOf(op_id).some((name) => needed.has(name)))
  }

  /** The op, and all those for which it stands by now. */
  #namesOf(op_id: string): string[] {
    const names = [op_id]
    for (const name of names) names.push(...this.lookup.retriedAs(name))
    return names
  }

  /**
   * Undecided ones are added in the order of the stream; again, as long as one is found: a dependency may be younger.
   * `chosen` holds every name under which one that was added may be meant.
   */
  #grow(root: DeadNode, may: (node: DeadNode, chosen: ReadonlySet<string>) => boolean): DeadNode[] {
    const grown = [root]
    const chosen = new Set(this.#namesOf(root.op_id))
    const rest = new Set(this.lookup.hanging().filter((node) => node.op_id !== root.op_id))
    for (let before = 0; before < grown.length;) {
      before = grown.length
      for (const node of rest) {
        if (!node.depends_on.some((op_id) => chosen.has(op_id)) || !may(node, chosen)) continue
        grown.push(node)
        for (const name of this.#namesOf(node.op_id)) chosen.add(name)
        rest.delete(node)
      }
    }
    return grown
  }
}
