//! Connections to a metastore: one of several addresses, kept for the next call.
use std::fmt;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_plan::{JavaException, Result as SparkResult, SparkError};
use parking_lot::Mutex;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol,
};
use thrift::{ApplicationErrorKind, Error, TConfiguration};

use super::calls::{Call, HiveFault, SET_UGI};
use super::values::{Fields, Value};

/// How long an address may take to answer at all
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often all addresses are tried, and the wait between
const ROUNDS: u32 = 3;
const WAIT: Duration = Duration::from_millis(500);
/// An answer's bytes: more is an error.
const MAX_ANSWER_BYTES: u64 = 128 << 20;
const MAX_TEXT_BYTES: usize = 64 << 20;
const MAX_IDLE: usize = 8;
const SCHEME: &str = "thrift://";
const DEFAULT_PORT: u16 = 9083;

/// Why a call has no result.
#[derive(Debug)]
pub enum HiveFailure {
    /// The metastore says why.
    Refused(HiveFault, SparkError),
    /// Nothing was sent: nobody answers there.
    Unreachable(SparkError),
    /// The call may have had its effect.
    Lost(SparkError),
}

impl HiveFailure {
    pub fn fault(&self) -> Option<HiveFault> {
        match self {
            Self::Refused(fault, _) => Some(*fault),
            _ => None,
        }
    }
}

impl From<HiveFailure> for SparkError {
    fn from(failure: HiveFailure) -> Self {
        match failure {
            HiveFailure::Refused(_, error) | HiveFailure::Unreachable(error) | HiveFailure::Lost(error) => error,
        }
    }
}

pub type HiveResult<T> = Result<T, HiveFailure>;

/// `thrift://a:9083,thrift://b`
pub(super) fn addresses_of(uri: &str) -> SparkResult<Vec<(String, u16)>> {
    let wrong = |part: &str| {
        let message = format!("{part} is no address of a Hive metastore: thrift://host:port is");
        SparkError::java(JavaException::IllegalArgument, message)
    };
    let parse = |part: &str| {
        let authority = part.strip_prefix(SCHEME).map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong(part))?),
            None => (authority, DEFAULT_PORT),
        };
        let host = host.trim_matches(['[', ']']);
        match host.is_empty() || host.contains(['/', '@', '?']) {
            true => Err(wrong(part)),
            false => Ok((host.to_string(), port)),
        }
    };
    uri.split(',').map(|part| parse(part.trim())).collect()
}

/// Where a metastore is and who asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    pub hosts: Vec<(String, u16)>,
    pub user: String,
    /// How long the next bytes of an answer may take
    pub timeout: Duration,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.hosts.iter().map(|(host, port)| format!("{SCHEME}{host}:{port}")).collect();
        f.write_str(&all.join(","))
    }
}

/// Connections to a metastore that wait for the next call.
#[derive(Debug)]
pub(super) struct Connections {
    pub address: Address,
    idle: Mutex<Vec<Connection>>,
    /// The place of the address that answered last
    good: Mutex<usize>,
}

#[derive(Debug)]
struct Connection {
    reader: BufReader<TcpStream>,
}

/// An answer, or what the metastore says against the call.
enum Answer {
    Result(Fields),
    Refused(HiveFault, String),
}

impl Connections {
    pub(super) fn new(address: Address) -> Self {
        Self { address, idle: Mutex::default(), good: Mutex::default() }
    }

    /// Makes a call and answers the fields of its result, of which 0 is the value.
    pub(super) async fn call(self: &Arc<Self>, call: &'static Call, arguments: Fields) -> HiveResult<Fields> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || this.send(call, &arguments)).await;
        done.unwrap_or_else(|error| Err(HiveFailure::Lost(self.failed(call, &error.to_string()))))
    }

    fn send(&self, call: &Call, arguments: &Fields) -> HiveResult<Fields> {
        let message =
            message_of(call, arguments).map_err(|e| HiveFailure::Unreachable(self.failed(call, &text(&e))))?;
        let mut is_again = false;
        loop {
            let mut connection = self.connection(call)?;
            let begun = Instant::now();
            match connection.exchange(call, &message) {
                Ok(answer) => {
                    self.keep(connection);
                    return self.result(call, answer);
                }
                Err(_) if call.is_repeatable && !is_again && begun.elapsed() < self.address.timeout => is_again = true,
                Err(error) => {
                    let is_late = begun.elapsed() >= self.address.timeout;
                    let late = || format!("no answer within {} s", self.address.timeout.as_secs());
                    let why = if is_late { late() } else { text(&error) };
                    return Err(HiveFailure::Lost(self.failed(call, &why)));
                }
            }
        }
    }

    fn result(&self, call: &Call, answer: Answer) -> HiveResult<Fields> {
        let refused = |fault: HiveFault, message: &str| {
            HiveFailure::Refused(fault, self.failed(call, &format!("{fault}: {message}")))
        };
        match answer {
            Answer::Refused(fault, message) => Err(refused(fault, &message)),
            Answer::Result(fields) => {
                let number = fields.numbers().find(|number| *number != 0);
                let Some(number) = number else { return Ok(fields) };
                let place = usize::try_from(number).unwrap_or_default().saturating_sub(1);
                let fault = call.faults.get(place).copied().unwrap_or(HiveFault::Other);
                Err(refused(fault, fields.fields(number).text(1).unwrap_or_default()))
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    /// A connection that is open, or a new one.
    fn connection(&self, call: &Call) -> HiveResult<Connection> {
        loop {
            let Some(idle) = self.idle.lock().pop() else { break };
            if idle.is_open() {
                return Ok(idle);
            }
        }
        let mut round = 1;
        loop {
            match self.connect() {
                Ok(connection) => return Ok(connection),
                Err(error) if round == ROUNDS => return Err(HiveFailure::Unreachable(self.failed(call, &error))),
                Err(_) => std::thread::sleep(WAIT * round),
            }
            round += 1;
        }
    }

    /// To the first address that answers, from the one that did last.
    fn connect(&self) -> Result<Connection, String> {
        let hosts = &self.address.hosts;
        let first = *self.good.lock();
        let mut why = vec![];
        for place in (0..hosts.len()).map(|step| (first + step) % hosts.len()) {
            let Some((host, port)) = hosts.get(place) else { continue };
            match self.connect_to(host, *port) {
                Ok(connection) => {
                    *self.good.lock() = place;
                    return Ok(connection);
                }
                Err(error) => why.push(format!("{host}:{port}: {error}")),
            }
        }
        Err(why.join("; "))
    }

    fn connect_to(&self, host: &str, port: u16) -> Result<Connection, String> {
        let found = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
        let mut why = "the name has no address".to_string();
        for address in found {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).and_then(|stream| self.prepared(stream)) {
                Ok(stream) => {
                    let mut connection = Connection { reader: BufReader::new(stream) };
                    connection.introduce(&self.address.user).map_err(|error| text(&error))?;
                    return Ok(connection);
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    fn prepared(&self, stream: TcpStream) -> std::io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.address.timeout))?;
        stream.set_write_timeout(Some(self.address.timeout))?;
        Ok(stream)
    }

    fn failed(&self, call: &Call, why: &str) -> SparkError {
        let message = format!("the Hive metastore {} failed in {}: {why}", self.address, call.name);
        SparkError::java(JavaException::Io, message)
    }
}

impl Connection {
    /// Says who asks. A metastore that does not want to know it goes on all the same.
    fn introduce(&mut self, user: &str) -> thrift::Result<()> {
        let user = user.to_string();
        let arguments = Fields::new().with(1, user.as_str()).with(2, Value::texts([&user]));
        let message = message_of(&SET_UGI, &arguments)?;
        self.exchange(&SET_UGI, &message).map(|_| ())
    }

    /// Whether the other side has not closed it, and has sent nothing that nobody asked for.
    fn is_open(&self) -> bool {
        let stream = self.reader.get_ref();
        if !self.reader.buffer().is_empty() || stream.set_nonblocking(true).is_err() {
            return false;
        }
        let is_quiet = matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        stream.set_nonblocking(false).is_ok() && is_quiet
    }

    fn exchange(&mut self, call: &Call, message: &[u8]) -> thrift::Result<Answer> {
        let mut stream = self.reader.get_ref();
        stream.write_all(message)?;
        stream.flush()?;
        let limits = TConfiguration::builder().max_string_size(Some(MAX_TEXT_BYTES)).build()?;
        let limited = self.reader.by_ref().take(MAX_ANSWER_BYTES);
        let mut input = TBinaryInputProtocol::with_config(limited, true, limits);
        let begun = input.read_message_begin()?;
        let answer = match begun.message_type {
            TMessageType::Exception => {
                let error = Error::read_application_error_from_in_protocol(&mut input)?;
                let is_unknown = error.kind == ApplicationErrorKind::UnknownMethod;
                let fault = if is_unknown { HiveFault::UnknownCall } else { HiveFault::Other };
                Answer::Refused(fault, error.message)
            }
            TMessageType::Reply if begun.name == call.name => Answer::Result(Fields::read(&mut input)?),
            _ => return Err(format!("{} was answered, not {}", begun.name, call.name).into()),
        };
        input.read_message_end()?;
        Ok(answer)
    }
}

fn message_of(call: &Call, arguments: &Fields) -> thrift::Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut out = TBinaryOutputProtocol::new(&mut bytes, true);
    out.write_message_begin(&TMessageIdentifier::new(call.name, TMessageType::Call, 0))?;
    arguments.write(&mut out)?;
    out.write_message_end()?;
    Ok(bytes)
}

fn text(error: &Error) -> String {
    match error {
        Error::Transport(error) => error.message.clone(),
        Error::Protocol(error) => error.message.clone(),
        Error::Application(error) => error.message.clone(),
        Error::User(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::calls::{CREATE_DATABASE, GET_ALL_DATABASES};
    use super::*;

    /// Answers requests, each connection those of one list.
    fn metastore(connections: Vec<Vec<Fields>>) -> (Address, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let mut asked = vec![];
            for answers in connections {
                let (mut stream, _) = listener.accept().unwrap();
                for answer in [Fields::new()].into_iter().chain(answers) {
                    let mut input = TBinaryInputProtocol::new(stream.try_clone().unwrap(), true);
                    let begun = input.read_message_begin().unwrap();
                    Fields::read(&mut input).unwrap();
                    let mut bytes = vec![];
                    let mut out = TBinaryOutputProtocol::new(&mut bytes, true);
                    let reply = TMessageIdentifier::new(begun.name.as_str(), TMessageType::Reply, 0);
                    out.write_message_begin(&reply).unwrap();
                    answer.write(&mut out).unwrap();
                    stream.write_all(&bytes).unwrap();
                    asked.push(begun.name);
                }
            }
            asked
        });
        let hosts = vec![("127.0.0.1".to_string(), 1), ("127.0.0.1".to_string(), port)];
        (Address { hosts, user: "us".into(), timeout: Duration::from_secs(5) }, served)
    }

    #[test]
    fn addresses() {
        let found = addresses_of("thrift://a:1, thrift://b,thrift://[::1]:7/").unwrap();
        assert_eq!(found, [("a".to_string(), 1), ("b".to_string(), 9083), ("::1".to_string(), 7)]);
        for wrong in ["", "a:1", "http://a:1", "thrift://a:x", "thrift://", "thrift://u@a", "thrift://a:1,"] {
            assert!(addresses_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_closed_connection_is_opened_again() {
        let names = Fields::new().with(0, Value::texts([&"db".to_string()]));
        let (address, served) = metastore(vec![vec![names.clone()], vec![names.clone(), Fields::new()], vec![names]]);
        let connections = Connections::new(address);
        // The first address is that of nobody.
        for call in [&GET_ALL_DATABASES, &GET_ALL_DATABASES, &CREATE_DATABASE, &GET_ALL_DATABASES] {
            connections.send(call, &Fields::new()).unwrap();
        }
        let asked = served.join().unwrap();
        let calls: Vec<_> = asked.iter().filter(|name| *name != "set_ugi").collect();
        assert_eq!(calls.len(), 4);
        assert_eq!(asked.len(), 7);
    }

    #[test]
    fn exceptions_have_their_names() {
        let refused = Fields::new().with(1, Fields::new().with(1, "it is there"));
        let (address, served) = metastore(vec![vec![refused]]);
        let connections = Connections::new(address);
        let failure = connections.send(&CREATE_DATABASE, &Fields::new()).unwrap_err();
        assert_eq!(failure.fault(), Some(HiveFault::AlreadyExists));
        let error = SparkError::from(failure);
        assert!(error.message().contains("create_database: AlreadyExistsException: it is there"), "{error}");
        served.join().unwrap();
        let failure = connections.send(&CREATE_DATABASE, &Fields::new()).unwrap_err();
        assert!(matches!(failure, HiveFailure::Unreachable(_)));
    }
}
