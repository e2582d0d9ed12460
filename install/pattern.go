package install

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled at its first use: a launcher, which needs none, starts without.
type pattern struct {
	expr string
	once sync.Once
	re   *regexp.Regexp
}

func (p *pattern) compiled() *regexp.Regexp {
	p.once.Do(func() { p.re = regexp.MustCompile(p.expr) })
	return p.re
}

func (p *pattern) matches(s string) bool { return p.compiled().MatchString(s) }
