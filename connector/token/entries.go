package token

// add makes the entry of a proof. If there are too many, the one that was not used for longest makes room. The lock is held.
func (k *Keeper) add(p proof) *entry {
	for len(k.entries) >= k.opts.MaxDevices {
		k.remove(k.last)
	}
	e := &entry{proof: p, sibling: k.byDevice[p.device]}
	k.entries[p], k.byDevice[p.device] = e, e
	k.link(e)
	return e
}

// use puts an entry first. The lock is held.
func (k *Keeper) use(e *entry) {
	if k.first != e {
		k.unlink(e)
		k.link(e)
	}
}

func (k *Keeper) link(e *entry) {
	e.prev, e.next = nil, k.first
	if k.first != nil {
		k.first.prev = e
	} else {
		k.last = e
	}
	k.first = e
}

func (k *Keeper) unlink(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		k.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		k.last = e.prev
	}
}

// remove forgets an entry; an answer that it waits for reaches those who asked all the same. The lock is held.
func (k *Keeper) remove(e *entry) {
	k.unlink(e)
	delete(k.entries, e.proof)
	if first := k.byDevice[e.proof.device]; first == e {
		if e.sibling != nil {
			k.byDevice[e.proof.device] = e.sibling
		} else {
			delete(k.byDevice, e.proof.device)
		}
	} else {
		for ; first != nil; first = first.sibling {
			if first.sibling == e {
				first.sibling = e.sibling
				break
			}
		}
	}
}
