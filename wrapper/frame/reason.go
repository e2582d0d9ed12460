package frame

// refusal names why a line is not passed; zero is none.
type refusal uint8

const (
	_ refusal = iota
	badGrammar
	badUTF8
	badControl
	badEscape
	badNumber
	badLiteral
	badBOM
	brokenOff
	unterminated
	secondValue
	tooLarge
	tooDeep
	batch
	notObject
	insideReturn
	repeatedKey
	loneSurrogateKey
	unknownMember
	caseTwinMember
	nulInKey
	repeatedMember
	badVersion
	badMethod
	longMethod
	badMethodText
	methodAndResult
	resultAndError
	noMethod
	badID
	longID
	badIDText
	noResponseID
	strayParams
	badParams
	caseTwinParam
	repeatedParam
	protoParam
	badName
	longName
	badURI
	longURI
	longVersion
)

// JSON-RPC 2.0, section 5.1.
const (
	parseError     = -32700
	invalidRequest = -32600
	invalidParams  = -32602
)

// refusals holds what is told of each refusal: constants, so that no byte of a message can reach a log or a person.
var refusals = [...]struct {
	code int
	text string
}{
	badGrammar:       {parseError, "message is not valid JSON"},
	badUTF8:          {parseError, "message is not valid UTF-8"},
	badControl:       {parseError, "message has a raw control character in a string"},
	badEscape:        {parseError, "message has an invalid escape in a string"},
	badNumber:        {parseError, "message has an invalid number"},
	badLiteral:       {parseError, "message has an invalid literal"},
	badBOM:           {parseError, "message begins with a byte order mark"},
	brokenOff:        {parseError, "line ends inside a message"},
	unterminated:     {parseError, "last line has no newline"},
	secondValue:      {parseError, "line has something after the message"},
	tooLarge:         {invalidRequest, "message is too large"},
	tooDeep:          {invalidRequest, "message is nested too deeply"},
	batch:            {invalidRequest, "batches are not supported"},
	notObject:        {invalidRequest, "message is not an object"},
	insideReturn:     {invalidRequest, "message has a carriage return inside"},
	repeatedKey:      {invalidRequest, "message has an object with a repeated key"},
	loneSurrogateKey: {invalidRequest, "message has a key with a lone surrogate"},
	unknownMember:    {invalidRequest, "message has an unknown member"},
	caseTwinMember:   {invalidRequest, "message has a member that differs from a known one only in case"},
	nulInKey:         {invalidRequest, "message has a key with a NUL character"},
	repeatedMember:   {invalidRequest, "message has a repeated member"},
	badVersion:       {invalidRequest, `jsonrpc is not "2.0"`},
	badMethod:        {invalidRequest, "method is not a string with text"},
	longMethod:       {invalidRequest, "method is too long"},
	badMethodText:    {invalidRequest, "method has a lone surrogate or NUL character"},
	methodAndResult:  {invalidRequest, "message has a method together with a result or error"},
	resultAndError:   {invalidRequest, "message has a result together with an error"},
	noMethod:         {invalidRequest, "message has no method, result or error"},
	badID:            {invalidRequest, "id is not a string or an integer below 2^53"},
	longID:           {invalidRequest, "id is too long"},
	badIDText:        {invalidRequest, "id has a lone surrogate"},
	noResponseID:     {invalidRequest, "result has no id"},
	strayParams:      {invalidRequest, "message has params without a method"},
	badParams:        {invalidParams, "params is not an object"},
	caseTwinParam:    {invalidParams, "params has a key that differs from a known one only in case"},
	repeatedParam:    {invalidParams, "params has keys that are the same or differ only in case"},
	protoParam:       {invalidParams, "params has a key named __proto__"},
	badName:          {invalidParams, "params.name is not a well-formed string"},
	longName:         {invalidParams, "params.name is too long"},
	badURI:           {invalidParams, "params.uri is not a well-formed string"},
	longURI:          {invalidParams, "params.uri is too long"},
	longVersion:      {invalidParams, "protocol version is too long"},
}
