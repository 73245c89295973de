"""How events come in.

| idea | modules |
|---|---|
| what users call | `verbs` `spans` `decorators` `labels` `deletion` `control` `status` |
| how functions are wrapped, and calls recorded | `wrapping` `functions` `call_spans` |
| a session played back | `tape` `playing` `matching` `differences` `playback` `aiohttp_playback` `served` |
| what a tool returned or raised, as it was | `returned` `raised` |
| agent frameworks | `frameworks` |
| where an event belongs | `context` `pairing` `callsite` `git` `program` `task` `ending` |
| how that place reaches threads and processes | `propagation` `carrier` |
| how other libraries are patched | `autopatch` `patching` `imports` |
| model calls on the wire | `transport` `streams` `calls` `background` `bodies` `providers` `pricing` |
| HTTP clients other than httpx | `other_clients` `aiohttp_client` `lm15_client` |
| from the event to the journal | `recorder` `history` `importance` `redaction` |
| runs while they run | `watching` `listeners` `alerts` `spending` `limits` |
| the agent never notices | `faults` `tracebacks` `recent` |
"""
