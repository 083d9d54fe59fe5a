package stats

// Which rows are shown: the parameters of Envoy's /stats.

import "regexp"

// Filter chooses rows. The zero value takes all.
type Filter struct {
	// UsedOnly leaves out what was never written.
	UsedOnly bool
	// Name, if not nil, must match somewhere in the name (RE2::PartialMatch).
	Name *regexp.Regexp
	// Only, if Kinds is set, is the one kind that is shown.
	Kinds bool
	Only  Kind
}

// Takes reports whether r is to be shown.
func (f *Filter) Takes(r *Row) bool {
	return (!f.UsedOnly || r.Used()) &&
		(!f.Kinds || r.Kind == f.Only) &&
		(f.Name == nil || f.Name.MatchString(r.Name))
}

// Select gives the rows that f takes, in their order; rows is not changed.
func Select(rows []Row, f Filter) []Row {
	var taken []Row
	for i := range rows {
		if f.Takes(&rows[i]) {
			taken = append(taken, rows[i])
		}
	}
	return taken
}
