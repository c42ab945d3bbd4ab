//! An XML document as a list of nodes.
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Position of a node in its document; the document itself is 0.
pub type NodeId = usize;

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Document,
    Element(String),
    Attribute(String, String),
    Text(String),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    parent: Option<NodeId>,
    attributes: Vec<NodeId>,
    children: Vec<NodeId>,
}

/// Elements in elements are followed by recursion, so there must not be too many.
const MAX_DEPTH: usize = 512;

/// Nodes stand in document order.
#[derive(Debug)]
pub struct Document {
    nodes: Vec<Node>,
}

impl Document {
    /// `None` where the text is not one well-formed element.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, false)
    }

    /// The first element of a text; what follows it is not looked at.
    pub fn first(text: &str) -> Option<Self> {
        Self::read(text, true)
    }

    fn read(text: &str, first_only: bool) -> Option<Self> {
        let mut document = Self { nodes: vec![] };
        document.add(Kind::Document, None);
        let mut reader = Reader::from_str(text);
        let mut open = vec![0];
        loop {
            let parent = open.last().copied()?;
            if (first_only && parent == 0 && document.root().is_some()) || open.len() > MAX_DEPTH {
                break;
            }
            match reader.read_event().ok()? {
                Event::Start(start) => open.push(document.element(&start, parent)?),
                Event::Empty(start) => {
                    document.element(&start, parent)?;
                }
                Event::End(_) => {
                    open.pop();
                }
                // Between elements there may be spaces only.
                Event::Text(text) if parent == 0 && !text.decode().ok()?.trim().is_empty() => return None,
                Event::Text(text) => document.text(&text.decode().ok()?, parent),
                Event::CData(data) => document.text(std::str::from_utf8(&data).ok()?, parent),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().ok()? {
                        Some(c) => c.to_string(),
                        None => {
                            let name = reference.decode().ok()?;
                            quick_xml::escape::resolve_predefined_entity(&name)?.to_string()
                        }
                    };
                    document.text(&resolved, parent);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let elements = document.children(0).iter().filter(|n| matches!(document.kind(**n), Kind::Element(_))).count();
        (open.len() == 1 && elements == 1).then_some(document)
    }

    /// The outermost element.
    pub fn root(&self) -> Option<NodeId> {
        self.children(0).iter().copied().find(|node| matches!(self.kind(*node), Kind::Element(_)))
    }

    /// Appends a node as it may have been written.
    pub fn push_source(&self, node: NodeId, out: &mut String) {
        match self.kind(node) {
            Kind::Element(name) => {
                out.push('<');
                out.push_str(name);
                for attribute in self.attributes(node) {
                    if let Kind::Attribute(name, value) = self.kind(*attribute) {
                        out.push_str(&format!(" {name}=\"{}\"", quick_xml::escape::escape(value.as_str())));
                    }
                }
                out.push('>');
                self.children(node).iter().for_each(|child| self.push_source(*child, out));
                out.push_str("</");
                out.push_str(name);
                out.push('>');
            }
            Kind::Text(text) => out.push_str(text),
            Kind::Document | Kind::Attribute(..) => {}
        }
    }

    fn add(&mut self, kind: Kind, parent: Option<NodeId>) -> NodeId {
        self.nodes.push(Node { kind, parent, attributes: vec![], children: vec![] });
        self.nodes.len() - 1
    }

    fn element(&mut self, start: &BytesStart<'_>, parent: NodeId) -> Option<NodeId> {
        let name = std::str::from_utf8(start.name().as_ref()).ok()?.to_string();
        let id = self.add(Kind::Element(name), Some(parent));
        self.nodes[parent].children.push(id);
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let name = std::str::from_utf8(attribute.key.as_ref()).ok()?.to_string();
            let value = attribute.unescape_value().ok()?.into_owned();
            let attribute = self.add(Kind::Attribute(name, value), Some(id));
            self.nodes[id].attributes.push(attribute);
        }
        Some(id)
    }

    /// Text that follows text is one node with it.
    fn text(&mut self, text: &str, parent: NodeId) {
        if parent == 0 {
            return;
        }
        if let Some(last) = self.nodes[parent].children.last().copied()
            && let Kind::Text(known) = &mut self.nodes[last].kind
        {
            known.push_str(text);
            return;
        }
        let id = self.add(Kind::Text(text.to_string()), Some(parent));
        self.nodes[parent].children.push(id);
    }

    pub fn kind(&self, node: NodeId) -> &Kind {
        &self.nodes[node].kind
    }
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node].parent
    }
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        &self.nodes[node].children
    }
    pub fn attributes(&self, node: NodeId) -> &[NodeId] {
        &self.nodes[node].attributes
    }

    /// All nodes below, in document order, attributes left out.
    pub fn descendants(&self, node: NodeId, out: &mut Vec<NodeId>) {
        for child in self.children(node) {
            out.push(*child);
            self.descendants(*child, out);
        }
    }

    /// The name of an element or attribute.
    pub fn name(&self, node: NodeId) -> &str {
        match self.kind(node) {
            Kind::Element(name) | Kind::Attribute(name, _) => name,
            _ => "",
        }
    }

    /// The text of a node: of an element that of all it holds.
    pub fn string(&self, node: NodeId) -> String {
        match self.kind(node) {
            Kind::Text(text) | Kind::Attribute(_, text) => text.clone(),
            _ => self.children(node).iter().map(|child| self.string(*child)).collect(),
        }
    }
}
