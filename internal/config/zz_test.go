package config_test
import ("testing";"strings";"fmt";"time";"mcp-valet/internal/config")
func TestZZ(t *testing.T){
 big := func(f func(i int) string, n int) string { var b strings.Builder; for i:=range n { b.WriteString(f(i)); if b.Len()>4<<20-200 {break} }; return b.String() }
 for name, x := range map[string]string{
  "keys": "{"+big(func(i int) string{return fmt.Sprintf(`"x%d":1,`,i)}, 1<<30)+"}",
  "rep": "{"+big(func(i int) string{return `"x":1,`}, 1<<30)+"}",
  "acc": `{"accounts":{`+big(func(i int) string{return fmt.Sprintf(`"x%d":{"preset":"x"},`,i)}, 1<<30)+"}}",
  "srv": `{"mcpServers":{`+big(func(i int) string{return fmt.Sprintf(`"x%d":{"command":"x","auth":{"account":"w"}},`,i)}, 1<<30)+"}}",
  "srv2": `{"accounts":{"w":{"preset":"x"}},"mcpServers":{`+big(func(i int) string{return fmt.Sprintf(`"x%d":{"command":"x","auth":{"account":"w"}},`,i)}, 1<<30)+"}}",
  "slashes": big(func(i int) string{return "/"}, 1<<30),
  "arr": `{"mcpServers":{"x":{"command":"c","args":[`+big(func(i int) string{return `"",`}, 1<<30)+"]}}}",
  "longkey": `{"`+strings.Repeat("x",4<<20-100)+`":1}`,
  "badscopes": `{"accounts":{"x":{"preset":"x","scopes":[`+big(func(i int) string{return `1,`}, 1<<30)+"]}}}",
  "comments": `{`+big(func(i int) string{return "//\n"}, 1<<30)+"}",
  "misaccount": `{"accounts":{`+big(func(i int) string{return fmt.Sprintf(`"x%d":{"preset":"x"},`,i)}, 40000)+`},"mcpServers":{`+big(func(i int) string{return fmt.Sprintf(`"y%d":{"command":"x","auth":{"account":"w%d"}},`,i,i)}, 40000)+"}}",
 } {
  s:=time.Now(); _,err:=config.Parse("c",[]byte(x)); d:=time.Since(s)
  s=time.Now(); _,e2:=config.SetAccount([]byte(x),"work",work); d2:=time.Since(s)
  m:=fmt.Sprint(err); m2:=fmt.Sprint(e2)
  t.Log(name,len(x),d,d2,m[:min(60,len(m))],m2[:min(60,len(m2))])
 }
}
