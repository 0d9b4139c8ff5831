"""Every verb of `prp`: where its handler is, what it does in a line, what it takes."""

from __future__ import annotations

from typing import Any, NamedTuple


class Arg(NamedTuple):
    """One argument, as argparse takes it."""

    names: tuple[str, ...]
    more: dict[str, Any]


class Verb(NamedTuple):
    """One command: where its handler is, what it does in a line, what it takes."""

    handler: str  # "module:function" in prpgate.cli; ".front.module:function" in another front
    help: str
    args: tuple[Arg, ...] = ()
    json: bool = True


def arg(*names: str, **more: Any) -> Arg:
    return Arg(names, more)


def flag(name: str, help: str) -> Arg:
    return Arg((name,), {"action": "store_true", "help": help})


ID = arg("id", metavar="ID", help="a PRP: its id, stable id or legacy id")
LANE = arg("lane", nargs="?", metavar="LANE", help="branch name of the lane (default: the lane that is the record)")
REASON = arg("--reason", required=True, metavar="WHY", help="why; everybody who is refused reads it")
DOMAIN = arg("--domain", metavar="NAME", help="only the ids of this domain ([domains] in prp.toml)")
BRANCH = flag("--branch", "on the PRP's own branch, made from HEAD when it is not there")
NOTE = arg("--note", default="", metavar="TEXT", help="a word for whoever goes on with it")
CLAUDE_CODE = flag("--claude-code", "Claude Code's, in .claude/settings.local.json")
SHARED = flag("--shared", "in .claude/settings.json, which is the whole team's, instead")
JSON = flag("--json", "one JSON object on stdout, text for people on stderr")
STORE = arg("--redis-url", metavar="URL", help="use this store (default: found by itself)")
YES = flag("--yes", "take what is proposed and ask nothing")

GROUPS: dict[str, dict[str, Verb]] = {
    "Set up": {
        "init": Verb(
            "setup:init",
            "set prpgate up in this repository: writes prp.toml, installs the hooks",
            (
                YES,
                arg("--ledger", metavar="PATH", help="the ledger: a YAML file, or a folder with one file per PRP"),
                arg("--project", metavar="ID", help="project id, such as example.org/team/app"),
                arg("--scope", choices=("machine", "team"), help="who shares the store: this machine, or a team"),
                arg("--lane", metavar="BRANCH", help="the branch that is the record (default: main)"),
                flag("--ancestor-shims", "also write files under which an earlier system's scripts go on working"),
                flag("--agents", "also write the block of prp prime into AGENTS.md, and CLAUDE.md where there is one"),
                arg(
                    "--ci", choices=("github",), help="also write a workflow that smokes what lands, and propose steps"
                ),
                arg(
                    "--gate", metavar="OWNER/REPO@SHA", help="with --ci: where prpgate's own workflow is, at a full sha"
                ),
                flag("--print", "with --ci: show what would be written, and write nothing"),
            ),
        ),
        "join": Verb("setup:join", "a teammate's one command in a fresh clone: hooks, store, state"),
        "install": Verb("setup:install", "install the git hooks", (flag("--all", "also check every linked worktree"),)),
        "uninstall": Verb(
            "setup:uninstall",
            "take the hooks out again, byte for byte",
            (flag("--all", "also forget agents, claims and records kept in this clone"),),
        ),
        "doctor": Verb(
            "setup:doctor",
            "check hooks, store, ledger and settings; says what to do",
            (flag("--fix", "mend what can be mended; shows it first"), YES),
        ),
        "whoami": Verb(
            "setup:whoami",
            "who you are to the others",
            (
                arg("--set", metavar="NAME", help="name the agent who works in this worktree"),
                arg("--role", metavar="ROLE", help='say what you do for the others: prp send @ROLE ("" for none)'),
            ),
        ),
        "prime": Verb(
            "prime:prime_",
            "the instruction block for coding agents, true for this repository's prp.toml",
            (
                flag("--write", "write it into AGENTS.md, and CLAUDE.md where there is one"),
                flag("--check", "for CI: fail when the block there is missing, or not what prp.toml says"),
                flag("--remove", "take it out again"),
            ),
        ),
        "agent-hooks install": Verb(
            "agent_hooks:install",
            "let a coding agent know what it holds, and keep its edits out of others' paths",
            (
                CLAUDE_CODE,
                SHARED,
                flag("--print", "print what would be in the settings, and write nothing"),
            ),
        ),
        "agent-hooks remove": Verb("agent_hooks:remove", "take these hooks out of the settings again", (SHARED,)),
        "agent-hooks show": Verb("agent_hooks:show", "where these hooks are, and whether they are this installation's"),
        "completion": Verb(
            "completion:completion",
            "print the script that completes words of prp in your shell",
            (arg("shell", choices=("bash", "zsh", "fish")),),
            json=False,
        ),
        "demo": Verb(
            "demo:demo",
            "see it work in a throw-away repository (under 30 s)",
            (flag("--keep", "keep the folder"),),
            json=False,
        ),
    },
    "PRPs": {
        "status": Verb(
            "prps:status", "the project at a glance, or one PRP", (ID._replace(more={**ID.more, "nargs": "?"}),)
        ),
        "list": Verb(
            "prps:list_",
            "PRPs and who has them",
            (
                arg(
                    "--status", metavar="STATUS", help="only these (new, validated, in_progress, complete, deprecated)"
                ),
                DOMAIN,
            ),
        ),
        "next": Verb(
            "claims:next_",
            "what is ready to start, and why others are not",
            (flag("--claim", "pick the best one and start it: each racer gets another"), DOMAIN),
        ),
        "new": Verb(
            "prps:new",
            "add a PRP to the ledger",
            (
                arg("title", nargs="?", default="", metavar="TITLE"),
                arg("--fix-for", metavar="SHA", help="to mend a commit whose smoke gate is red; names itself"),
                arg("--id", dest="new_id", metavar="ID", help="its id (default: the next free one)"),
                arg("--doc", metavar="PATH", help="its document, a file of this repository"),
                flag("--draft", "without a store: under a temporary id, until prp number"),
            ),
        ),
        "number": Verb("drafts:number", "give drafts of this working tree their ids"),
        "validate": Verb("prps:validate", "new -> validated", (ID,)),
        "start": Verb("prps:start", "claim a PRP: one agent wins", (ID, BRANCH)),
        "claim": Verb("prps:start", "the same as start", (ID, BRANCH)),
        "release": Verb("claims:release", "give your claim back: anybody may take the PRP at once", (ID, NOTE)),
        "handover": Verb(
            "claims:handover",
            "make your claim another agent's",
            (
                ID,
                arg("agent", nargs="?", metavar="AGENT", help="who goes on with it"),
                arg("--to", metavar="AGENT", help="the same"),
                NOTE,
                flag("--force", "also to a name that was never seen here"),
            ),
        ),
        "block": Verb(
            "claims:block",
            "keep a PRP from being picked",
            (
                ID,
                arg("--reason", required=True, metavar="WHY"),
                arg("--by", metavar="ID", help="the PRP it waits for: the block ends when that is done"),
            ),
        ),
        "unblock": Verb("claims:unblock", "let it be picked again", (ID,)),
        "assign": Verb(
            "claims:assign",
            "direct a PRP to one agent: only that one may start it",
            (ID, arg("agent", nargs="?", metavar="AGENT"), flag("--clear", "anybody may start it again")),
        ),
        "note": Verb("claims:note", "leave a word for whoever works on it next", (ID, arg("text", metavar="TEXT"))),
        "phase": Verb(
            "claims:phase", "move it to one of the team's phases within in_progress", (ID, arg("name", metavar="PHASE"))
        ),
        "deprecate": Verb(
            "claims:deprecate",
            "take it out for good, in favour of another PRP",
            (ID, arg("--by", required=True, metavar="ID", help="the PRP that takes its place")),
        ),
        "graph": Verb(
            "claims:graph",
            "what waits for what",
            (flag("--mermaid", "as a Mermaid flowchart"), ID._replace(more={**ID.more, "nargs": "?"})),
        ),
        "complete": Verb(
            "prps:complete",
            "record it as done, with evidence that is fetched",
            (ID, flag("--undo", "take back a completion that has not landed")),
        ),
        "reopen": Verb(
            "prps:reopen", "take a complete PRP up again", (ID, arg("--reason", required=True, metavar="WHY"))
        ),
        "history": Verb(
            "history:history",
            "how a PRP came to where it is: commits, landings, events, verdicts",
            (ID, arg("-n", "--count", type=int, default=50, metavar="N", help="the last N (default 50)")),
        ),
        "ledger tidy": Verb("setup:tidy", "refresh the ledger's derived stats and last_updated"),
        "verify": Verb(
            "history:verify",
            "check what complete PRPs claim: commits, runs, verdicts, times, reverts",
            (ID._replace(more={**ID.more, "nargs": "?"}), flag("--all", "every complete PRP (without an ID too)")),
        ),
        "check": Verb(
            "prps:check",
            "judge the ledger: what is staged, some files, or all of it",
            (
                flag("--all", "everything, old entries too"),
                flag("--staged", "what is staged, against HEAD"),
                flag("--github", "as GitHub annotations"),
                arg("paths", nargs="*", metavar="PATH"),
            ),
        ),
    },
    "Agents": {
        "agents": Verb(
            "mail:agents",
            "who is there, since when silent, and what they hold",
            (arg("--role", metavar="ROLE", help="only those with this role"),),
        ),
        "send": Verb(
            "mail:send",
            "send a message; it is kept until it is acknowledged",
            (
                arg("to", metavar="TO", help="an agent's name, @ROLE, or @all"),
                arg("text", metavar="TEXT", nargs="+", help="the message; - reads it from standard input"),
                arg("--prp", metavar="ID", help="the PRP that it is about"),
                arg("--priority", default="normal", metavar="P", help="low, normal, high or urgent"),
                arg("--reply-to", metavar="MSGID", help="the message that it answers"),
                arg("--id", dest="own", metavar="MSGID", help="its id: the same again is never sent twice"),
            ),
        ),
        "inbox": Verb(
            "mail:inbox",
            "your messages, unread ones first; reading acknowledges nothing",
            (
                flag("--all", "also the last 100 that you acknowledged"),
                flag("--sent", "what you sent, and who has acknowledged it"),
                arg("--ack", nargs="+", default=[], metavar="MSGID", help="say that you have these"),
                flag("--ack-all", "show what is unread, and acknowledge what was shown"),
            ),
        ),
        "listen": Verb(
            "mail:listen",
            "wait until something unread is there, show it, and end",
            (
                arg("--timeout", type=float, metavar="SECONDS", help="wait no longer; exit code 75 then"),
                flag("--ack", "acknowledge what was shown"),
            ),
        ),
        "top": Verb(
            "top:top",
            "the lanes and the board in one live screen",
            (
                arg("--lane", metavar="LANE", help="only this lane (default: all)"),
                flag("--once", "print it once, in lines, and end"),
            ),
        ),
        "watch": Verb(
            "watch:watch",
            "follow everything that happens; with --json one object a line",
            (
                arg("--lane", metavar="LANE", help="only what happens on this lane"),
                arg("--prp", metavar="ID", help="only what is about this PRP"),
                arg("--agent", metavar="AGENT", help="only what this agent does"),
                arg(
                    "--event",
                    action="append",
                    default=[],
                    metavar="EVENT",
                    help="only these events (landed, verdict, close, ...); several with commas",
                ),
                arg("--since", metavar="1h|EVENT_ID", help="first what happened in that time, or after that event"),
            ),
        ),
    },
    "Telling people": {
        "notify run": Verb(
            "notify:run",
            "deliver what [notify] in prp.toml says, as it happens",
            (arg("--for", dest="seconds", type=float, metavar="SECONDS", help="end after that (default: never)"),),
        ),
        "notify status": Verb(
            "notify:status", "what was told, what waits, what was given up, whether this clone delivers"
        ),
        "notify test": Verb("notify:test", "deliver a test from here, now"),
        "notify allow": Verb("notify:allow", "let this clone run the command that the lane's prp.toml names", (YES,)),
    },
    "Screens": {
        "dashboard": Verb(
            ".dashboard.command:dashboard",
            "the project in your browser, live; changes nothing",
            (
                arg("--port", type=int, metavar="N", help="the port (default: 8137, or the next that is free)"),
                arg(
                    "--host",
                    default="127.0.0.1",
                    metavar="HOST",
                    help="listen there (default: 127.0.0.1, only this machine)",
                ),
                flag("--open", "open the browser"),
                arg(
                    "--token",
                    metavar="TOKEN",
                    help="what others log in with; needed for any address but this machine's",
                ),
            ),
        ),
    },
    "Landing": {
        "land": Verb(
            "land:land",
            "land your commits: waits in line, rebases, proves, pushes, and asks the remote",
            (
                arg(
                    "--from",
                    dest="from_branch",
                    metavar="BRANCH",
                    help="the branch to land (default: the current one)",
                ),
                arg("--for", dest="prp", metavar="ID", help="the PRP that it is for (default: what its commits name)"),
                arg(
                    "--pr",
                    type=int,
                    metavar="N",
                    help="merge this pull request in your turn, through the host's API, at the head that was judged "
                    '(via = "pr" in prp.toml: the one of your branch)',
                ),
                arg(
                    "--wait",
                    type=float,
                    metavar="SECONDS",
                    help="wait no longer (default: until your turn)",
                ),
                flag("--no-wait", "land now or not at all; your place in the line is kept"),
                arg(
                    "--revert",
                    nargs="?",
                    const="",
                    metavar="SHA",
                    help="take a landing back instead (default: the one that closed the lane)",
                ),
                flag("--hotfix", "go first; for those whom lane.hotfix in prp.toml names"),
                arg("--reason", default="", metavar="WHY", help="why the hotfix, or the revert; others read it"),
            ),
        ),
        "smoke": Verb(
            "smoke:smoke",
            "run the smoke gate on what is checked out and record the verdict",
            (
                flag("--no-cache", "run it also where a green verdict stands for this tree, or is inherited"),
                flag("--all", "run also the steps that `changed` would leave out"),
                arg("--junit", metavar="FILE", help="also write the report as JUnit XML"),
            ),
        ),
        "smoke stats": Verb(
            "smoke:stats",
            "how long the gate takes, how often it flakes, what is left of its budget",
            (arg("-n", "--count", type=int, default=200, metavar="N", help="of the last N runs (default 200)"),),
        ),
        "ci watch": Verb(
            "ci:watch",
            "tell the lanes what the host's checks say, and start the run that never came",
            (LANE._replace(more={**LANE.more, "help": "only this lane (default: all)"}),),
        ),
        "ci reconcile": Verb(
            "ci:reconcile",
            "the same once, for a cron job",
            (LANE._replace(more={**LANE.more, "help": "only this lane (default: all)"}),),
        ),
        "ci protect": Verb(
            "protect:protect",
            'make prp/lane and the smoke check required at the host (for via = "pr")',
            (flag("--dry-run", "print the exact API calls, and make none"), YES),
        ),
        "lock status": Verb("lane:status", "who holds which lane, who waits", (LANE,)),
        "lock log": Verb(
            "lane:log",
            "what happened on a lane",
            (LANE, arg("-n", "--count", type=int, default=30, metavar="N", help="how many events (default 30)")),
        ),
        "lock break": Verb(
            "lane:break_",
            "end somebody's hold; it is written down",
            (
                LANE,
                arg("--fence", type=int, required=True, metavar="N", help="the hold's fence, from prp lock status"),
                arg("--reason", required=True, metavar="WHY"),
            ),
        ),
        "lane close": Verb("lane:close", "take only fixes on a lane from now on", (LANE, REASON)),
        "lane open": Verb("lane:open_", "take everything again", (LANE, REASON)),
        "lane log": Verb(
            "lane:landings",
            "every landing: what was claimed, and what the remote was found to have",
            (LANE, arg("-n", "--count", type=int, default=30, metavar="N", help="how many landings (default 30)")),
        ),
        "ci clean": Verb("candidates:clean", "delete candidate branches of landings that are over (gate ci-first)"),
        "redis-merge-status": Verb("lane:status", "the same as lock status", (LANE,)),
        "why": Verb(
            "claims:why",
            "why a PRP is not ready; without an id, the last refusal again",
            (ID._replace(more={**ID.more, "nargs": "?"}),),
        ),
    },
    "Store": {
        "redis-status": Verb("store:redis_status", "which store, which rule found it, does it answer, how fast"),
        "redis-sync": Verb("store:redis_sync", "bring the live state up to what the lane records"),
        "sync": Verb(
            "recovery:sync",
            "what a sync would do, and who decides where a hand edit landed; --apply does it",
            (
                flag("--apply", "do it"),
                arg("--ours", nargs="+", action="extend", default=[], metavar="ID", help="keep what stands"),
                arg("--theirs", nargs="+", action="extend", default=[], metavar="ID", help="take the hand edit"),
            ),
        ),
        "rebuild": Verb(
            "recovery:rebuild",
            "fill a wiped store from the lane, and prove that the two agree",
            (YES, flag("--anew", "also when it is not wiped: read everything from git again")),
        ),
        "store start": Verb("store:start", "start this machine's store"),
        "store stop": Verb(
            "store:stop",
            "stop this machine's store; its data stay",
            (flag("--all", "every project's store of this user"),),
        ),
        "store status": Verb("store:status", "this machine's store: process, data, memory"),
        "store adopt": Verb(
            "store:adopt",
            "make the store that answers the store of this project",
            (YES, flag("--replace", "even when it holds another id")),
        ),
    },
    "A server of your own": {
        "server install": Verb(
            "server:install",
            "guard a bare repository that people push to",
            (
                arg("path", metavar="PATH", help="the bare repository"),
                arg(
                    "--lane",
                    metavar="BRANCH",
                    help="the branch whose prp.toml counts (default: the one that HEAD names)",
                ),
            ),
        ),
        "server uninstall": Verb(
            "server:uninstall",
            "take the server's hooks out again, byte for byte",
            (arg("path", metavar="PATH", help="the bare repository"),),
        ),
        "server allow": Verb(
            "server:allow",
            "let one commit land once, whatever prpgate says; it is written down",
            (
                arg("sha", metavar="SHA", help="full id of the commit"),
                arg("--reason", required=True, metavar="WHY"),
                arg("--path", default=".", metavar="PATH", help="the bare repository (default: here)"),
            ),
        ),
    },
    "MCP": {
        "mcp": Verb(
            ".mcp.command:serve",
            "serve a coding agent on stdio (Model Context Protocol)",
            (
                arg("--path", default=".", metavar="PATH", help="the clone to work in (default: here)"),
                arg("--agent", metavar="NAME", help="act as this agent (default: PRP_AGENT, else one of its own)"),
            ),
            json=False,
        ),
        "mcp install": Verb(
            ".mcp.command:install",
            "tell a coding agent's host about prp mcp, in its own settings",
            (
                flag("--claude-desktop", "Claude Desktop's one file for all projects"),
                flag("--claude-code", "this clone's .mcp.json"),
                flag("--cursor", "this clone's .cursor/mcp.json"),
                flag("--vscode", "this clone's .vscode/mcp.json"),
                flag("--print", "show what would be written, and write nothing"),
                flag("--remove", "take it out again"),
                arg("--path", default=".", metavar="PATH", help="the clone (default: here)"),
            ),
        ),
    },
    "Called by git and other tools": {
        "hook": Verb(
            "hook:hook",
            "run one of our hooks for a hook framework",
            (arg("name", choices=("commit-msg", "pre-push", "pre-commit")), arg("args", nargs="*")),
            json=False,
        ),
        "merge-driver": Verb(
            "merge:driver",
            "merge a ledger entry by entry, for git's merge=prp",
            (
                arg("base", metavar="BASE", help="the common ancestor's version (git's %%O)"),
                arg("ours", metavar="OURS", help="our version; the result is written there (%%A)"),
                arg("theirs", metavar="THEIRS", help="their version (%%B)"),
                arg("path", metavar="PATH", help="the path that is merged (%%P)"),
                arg("--marker-size", type=int, default=7, metavar="N", help="length of conflict markers (%%L)"),
                arg("--ours-label", default="", metavar="NAME", help="what to call our side (%%X)"),
                arg("--theirs-label", default="", metavar="NAME", help="what to call their side (%%Y)"),
            ),
            json=False,
        ),
        "renew": Verb("hook:renew", "renew this worktree's claims", (flag("--quiet", "say nothing"),), json=False),
    },
}
VERBS = {name: verb for group in GROUPS.values() for name, verb in group.items()}
