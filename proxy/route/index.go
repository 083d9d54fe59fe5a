package route

// Finding the routes that a path may take without trying all of them.

import "github.com/attache-mesh/attache/proxy/config"

// index finds, of many rules, those whose path condition may hold: a radix tree of what exact paths and prefixes begin
// with. What it finds is tried in file order, so that it changes nothing but the time.
//
//	rules  0 prefix /a   1 regex   2 exact /a/b   3 prefix /
//	tree   "/" [3] ── "a" [0] ── "/b" [2]        rest [1]
//	path   /a/b: 0, 1, 2, 3        /x: 1, 3
type index struct {
	root node
	rest []int32 // regular expressions, CONNECT, and what ignores case
}

// node is what paths have in common after those above it; ends are the rules whose text ends here, in file order.
type node struct {
	label string
	ends  []int32
	kids  []node // by the first byte of their labels, which differ
}

// fewRules are tried one by one.
const fewRules = 8

// newIndex is nil where trying all rules is as good.
func newIndex(rules []rule) *index {
	if len(rules) <= fewRules {
		return nil
	}
	x := &index{}
	for i := range rules {
		switch r := &rules[i]; {
		case r.fold || r.kind == config.PathRegex || r.kind == config.PathConnect:
			x.rest = append(x.rest, int32(i))
		default:
			x.root.add(r.value, int32(i))
		}
	}
	return x
}

// add enters a rule at the end of its text.
func (n *node) add(text string, rule int32) {
	for text != "" {
		k := n.find(text[0])
		if k == len(n.kids) || n.kids[k].label[0] != text[0] {
			n.kids = append(n.kids, node{})
			copy(n.kids[k+1:], n.kids[k:])
			n.kids[k] = node{label: text, ends: []int32{rule}}
			return
		}
		kid := &n.kids[k]
		same := common(kid.label, text)
		if same < len(kid.label) {
			below := *kid
			below.label = kid.label[same:]
			*kid = node{label: kid.label[:same], kids: []node{below}}
		}
		n, text = kid, text[same:]
	}
	n.ends = append(n.ends, rule)
}

// find is where the kid that begins with c is, or would be.
func (n *node) find(c byte) int {
	low, high := 0, len(n.kids)
	for low < high {
		if mid := (low + high) / 2; n.kids[mid].label[0] < c {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func common(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// maxLists is how many nodes on one path have rules; a path with more is matched rule by rule.
const maxLists = 16

// match finds the first rule that holds, or -1.
func (x *index) match(rules []rule, r *Request, path []byte, random uint64) int {
	var lists [maxLists][]int32
	lists[0] = x.rest
	count := 1
	n, rest := &x.root, path
	for {
		if len(n.ends) > 0 {
			if count == maxLists {
				return matchAll(rules, r, path, random)
			}
			lists[count] = n.ends
			count++
		}
		if len(rest) == 0 {
			break
		}
		k := n.find(rest[0])
		if k == len(n.kids) {
			break
		}
		n = &n.kids[k]
		if len(rest) < len(n.label) || string(rest[:len(n.label)]) != n.label {
			break
		}
		rest = rest[len(n.label):]
	}
	return tryInOrder(lists[:count], rules, r, path, random)
}

// tryInOrder tries the rules of several lists, each in order, in the order of all.
func tryInOrder(lists [][]int32, rules []rule, r *Request, path []byte, random uint64) int {
	for {
		best := -1
		for i := range lists {
			if len(lists[i]) > 0 && (best < 0 || lists[i][0] < lists[best][0]) {
				best = i
			}
		}
		if best < 0 {
			return -1
		}
		at := int(lists[best][0])
		lists[best] = lists[best][1:]
		if rules[at].match(r, path, random) {
			return at
		}
	}
}

// matchAll tries all rules.
func matchAll(rules []rule, r *Request, path []byte, random uint64) int {
	for i := range rules {
		if rules[i].match(r, path, random) {
			return i
		}
	}
	return -1
}
