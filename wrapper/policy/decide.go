package policy

// Decide says whether u may do a, and which rule made it so. Without conditions it allocates nothing. A nil user is one
// without roles.
func (p *Policy) Decide(u *User, a *Action) Verdict { return p.decide(u, a, false) }

// Visible says whether u may know that what a is about exists: whether a list would show it.
func (p *Policy) Visible(u *User, a *Action) bool { return p.decide(u, a, true).Allowed }

var nobody User

func (p *Policy) decide(u *User, a *Action, listing bool) Verdict {
	if u == nil {
		u = &nobody
	}
	if a.Kind < Tool || a.Kind > Resource || !fit(a.Name) {
		return Verdict{Rule: RuleName}
	}
	t := &p.tables[a.Kind]
	r := t.exact[a.Name]
	if r == nil {
		if a.Kind == Resource && ambiguous(a.Name) {
			return Verdict{Rule: RuleURI}
		}
		r = t.glob(a.Name)
	}
	v := Verdict{Allowed: p.allow, Rule: RuleDefault}
	if r != nil {
		v = Verdict{Allowed: p.grants(u, r), Permission: r.permission, Rule: r.rule}
	}
	if p.conditions == nil || r != nil && !v.Allowed {
		return v
	}
	return p.conditions.ask(u, a, v, listing)
}

func (p *Policy) grants(u *User, r *row) bool {
	for _, name := range u.Roles {
		g := p.roles[name]
		if g != nil && (g.all || r.number == anybody || r.number >= 0 && g.has(r.number)) {
			return true
		}
	}
	return false
}
