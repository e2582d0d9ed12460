package cli

import "strings"

// mostCompared is how many lines of a text are compared one by one; a longer one is shown as replaced.
const mostCompared = 2000

// diffLines shows how a text becomes another: lines that go with "-", lines that come with "+", the rest left out.
func diffLines(before, after string) []string {
	x, y := splitLines(before), splitLines(after)
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	var out []string
	common := commonLines(x, y)
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(x) > 0 && len(y) > 0 && len(common) > 0 && x[0] == common[0] && y[0] == common[0]:
			x, y, common = x[1:], y[1:], common[1:]
		case len(x) > 0 && (len(common) == 0 || x[0] != common[0]):
			out = append(out, "- "+x[0])
			x = x[1:]
		default:
			out = append(out, "+ "+y[0])
			y = y[1:]
		}
	}
	return out
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
}

// commonLines is the longest list of lines that both have, in order.
func commonLines(x, y []string) []string {
	if len(x) > mostCompared || len(y) > mostCompared {
		return nil
	}
	longest := make([][]int, len(x)+1) // of x[i:] and y[j:]
	for i := range longest {
		longest[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var common []string
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			common = append(common, x[i])
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
	return common
}
